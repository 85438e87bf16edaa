import { Pause, Play, Radio } from 'lucide-react';
import { useMemo, useState } from 'react';
import { Link } from 'wouter';
import { NodeLinkById } from '~/components/Links';
import { Columns } from '~/components/Page';
import { formatCount, plural } from '~/lib/format';
import { paths } from '~/lib/paths';
import { Button } from '~/ui/Button';
import { Card, Fact, Facts } from '~/ui/Card';
import { Id } from '~/ui/Copy';
import { Dialog } from '~/ui/Dialog';
import { Json, JsonLine } from '~/ui/Json';
import { EmptyState, ErrorState, Notice } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Nothing, Time } from '~/ui/Time';
import styles from './BusEvents.module.css';
import type { BusDetails } from './BusPage';
import { EventFilters, useEventFilter } from './EventFilters';
import { PublishForm } from './PublishForm';
import { isRegistryBus } from './registryBus';
import { useBusEvents, type BusEvent, type BusEvents as Events } from './useBusEvents';

const columns: readonly Column<BusEvent>[] = [
  { key: 'time', title: 'Time', width: '76px', cell: ({ event }) => <Time at={event.timestamp} as="clock" /> },
  { key: 'topic', title: 'Topic', width: 'minmax(100px, 1.2fr)', cell: ({ topic }) => <code title={topic}>{topic}</code> },
  { key: 'type', title: 'Type', width: 'minmax(90px, 1fr)', hideBelow: 2, cell: ({ event }) => event.eventType },
  { key: 'node', title: 'Node', width: 'minmax(90px, 1fr)', hideBelow: 1, cell: ({ event }) => <NodeLinkById id={event.nodeId} /> },
  { key: 'metadata', title: 'Metadata', width: 'minmax(90px, 2fr)', cell: ({ event, misfit }) => (misfit ? <span className={styles.misfit}>{misfit}</span> : <JsonLine value={event.metadata} />) },
  { key: 'place', title: 'Place', width: '76px', align: 'end', hideBelow: 2, cell: ({ sequence }) => <span className="muted">#{sequence}</span> },
];

/** What travels on the bus, as it travels; and a form that publishes. */
export function BusEvents({ bus }: { bus: BusDetails }) {
  const filter = useEventFilter();
  const live = useBusEvents({ bus: bus.name, ...filter }, `${bus.name}\n${filter.key}`, bus.status === 'STOPPED' || filter.waiting);
  const [held, setHeld] = useState<Events | null>(null);
  const [open, setOpen] = useState<BusEvent | null>(null);
  const shown = held ?? live;
  const topics = useMemo(() => bus.topics.map((topic) => topic.name), [bus.topics]);
  return (
    <Columns
      main={
        <Card
          title="Live events"
          note={note(shown, live)}
          flush
          actions={
            <Button size="small" icon={held ? <Play aria-hidden="true" /> : <Pause aria-hidden="true" />} onClick={() => setHeld(held ? null : live)} aria-pressed={held !== null}>
              {held ? 'Go on' : 'Pause'}
            </Button>
          }
        >
          <EventFilters topics={topics} unknownNodes={filter.unknownNodes} />
          {live.fault && <ErrorState fault={live.fault} />}
          {live.missed > 0 && <Notice tone="warn">{plural(live.missed, 'event')} came faster than this page took them, and are not shown.</Notice>}
          <Table
            label={`Events of ${bus.name}`}
            columns={columns}
            rows={shown.events}
            rowKey={({ topic, sequence }) => `${topic} ${sequence}`}
            onOpen={setOpen}
            rowTone={(event) => (event.misfit ? 'warn' : event.missed > 0 ? 'bad' : undefined)}
            height="min(62dvh, 640px)"
            empty={
              !live.fault && (
                <EmptyState icon={<Radio />} title={bus.status === 'STOPPED' ? 'The bus stands still' : 'Waiting for events that fit'}>
                  {bus.status === 'STOPPED' ? 'Start it, and what travels on it shows here.' : 'What is published shows here at once. The form publishes one.'}
                </EmptyState>
              )
            }
          />
        </Card>
      }
      side={
        <>
          {isRegistryBus(bus) ? <RegistryBusCard /> : <PublishForm bus={bus} topics={topics} />}
          <Dialog as="sheet" open={open !== null} onClose={() => setOpen(null)} title={open?.event.eventType ?? ''}>
            {open && <EventDetails shown={open} />}
          </Dialog>
        </>
      }
    />
  );
}

function RegistryBusCard() {
  return (
    <Card title="The registry’s own changes">
      <p className="prose">
        Every change is an event here, on <code>onex.events.</code> and its type. Nobody else publishes on this bus; the <Link href={paths.history()}>history</Link> has the same changes, with all that is known of each.
      </p>
    </Card>
  );
}

function note(shown: Events, live: Events): string {
  const since = live.total - shown.total;
  return since > 0 ? `${formatCount(since)} more since it was paused` : plural(shown.total, 'event');
}

function EventDetails({ shown: { topic, sequence, missed, redelivery, misfit, event } }: { shown: BusEvent }) {
  return (
    <div className={styles.details}>
      <Facts>
        <Fact name="Topic"><code>{topic}</code></Fact>
        <Fact name="Place">#{sequence}</Fact>
        <Fact name="Time"><Time at={event.timestamp} as="clock" /></Fact>
        <Fact name="Node"><NodeLinkById id={event.nodeId} /></Fact>
        <Fact name="Id"><Id id={event.eventId} part="all" /></Fact>
        <Fact name="Correlation">{event.correlationId ?? <Nothing />}</Fact>
        <Fact name="Tags">{event.tags.length > 0 ? event.tags.join(', ') : <Nothing />}</Fact>
        {missed > 0 && <Fact name="Lost before it">{plural(missed, 'event')}</Fact>}
        {redelivery > 0 && <Fact name="Delivered before">{plural(redelivery, 'time')}</Fact>}
      </Facts>
      {misfit && <Notice tone="warn">It does not fit its topic’s schema: {misfit}</Notice>}
      <Json value={event.metadata} label="Metadata" />
    </div>
  );
}
