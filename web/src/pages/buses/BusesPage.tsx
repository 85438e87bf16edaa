import { Plus, Waypoints } from 'lucide-react';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { BusLink } from '~/components/Links';
import { Page } from '~/components/Page';
import { BusStatusOf } from '~/components/StatusOf';
import { about } from '~/data/about';
import { useBusMetrics, withMetrics } from '~/data/useBusMetrics';
import { useLiveQuery } from '~/data/useLiveQuery';
import type { BusesQuery } from '~/gql/graphql';
import { formatCompact, formatRate, plural, titled } from '~/lib/format';
import { paths } from '~/lib/paths';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Duration, Nothing, Time } from '~/ui/Time';
import { CreateBusDialog } from './CreateBusDialog';
import { BusesDocument } from './queries';

type Bus = BusesQuery['buses']['nodes'][number];

const columns: readonly Column<Bus>[] = [
  { key: 'name', title: 'Name', width: 'minmax(100px, 1fr)', cell: (bus) => <BusLink name={bus.name} />, sortBy: (bus) => bus.name },
  { key: 'status', title: 'Status', width: '104px', cell: (bus) => <BusStatusOf status={bus.status} reason={bus.reason} />, sortBy: (bus) => bus.status },
  { key: 'kind', title: 'Kind', width: '92px', hideBelow: 2, cell: (bus) => titled(bus.kind), sortBy: (bus) => bus.kind },
  { key: 'purpose', title: 'Purpose', width: 'minmax(110px, 2fr)', hideBelow: 2, cell: (bus) => <span title={bus.purpose ?? undefined}>{bus.purpose ?? <Nothing />}</span> },
  { key: 'rate', title: 'Events/s', width: '72px', align: 'end', cell: (bus) => formatRate(bus.metrics.messagesPerSecond), sortBy: (bus) => bus.metrics.messagesPerSecond },
  { key: 'published', title: 'Published', width: '76px', align: 'end', cell: (bus) => formatCompact(bus.metrics.published), sortBy: (bus) => bus.metrics.published },
  { key: 'lost', title: 'Lost', width: '60px', align: 'end', hideBelow: 2, cell: (bus) => formatCompact(bus.metrics.dropped), sortBy: (bus) => bus.metrics.dropped },
  { key: 'topics', title: 'Topics', width: '60px', align: 'end', hideBelow: 1, cell: (bus) => bus.topics.length, sortBy: (bus) => bus.topics.length },
  { key: 'subscribers', title: 'Listen', width: '60px', align: 'end', hideBelow: 1, cell: (bus) => bus.metrics.subscriberCount, sortBy: (bus) => bus.metrics.subscriberCount },
  { key: 'latency', title: '99 of 100 within', width: '104px', align: 'end', hideBelow: 1, cell: (bus) => <Duration ms={bus.metrics.p99LatencyMs} />, sortBy: (bus) => bus.metrics.p99LatencyMs },
  { key: 'created', title: 'Created', width: '96px', align: 'end', hideBelow: 1, cell: (bus) => <Time at={bus.createdAt} />, sortBy: (bus) => bus.createdAt },
];

const DEPENDS_ON = [...about.buses, ...about.subscribers, ...about.busNotices] as const;
const NONE = {};

export default function BusesPage() {
  const { data, fault, loading, refresh } = useLiveQuery({ query: BusesDocument, variables: NONE, dependsOn: DEPENDS_ON });
  const [creating, setCreating] = useState(false);
  const [, navigate] = useLocation();
  const asked = data?.buses.nodes ?? [];
  const buses = withMetrics(asked, useBusMetrics(asked.map((bus) => bus.name)));
  const create = (
    <Button variant="primary" icon={<Plus aria-hidden="true" />} onClick={() => setCreating(true)}>
      Create a bus
    </Button>
  );
  return (
    <Page title="Buses" lede="A bus carries events from those who publish to those who listen." actions={buses.length > 0 && create}>
      {fault && <ErrorState fault={fault} onRetry={refresh} />}
      <Card title="Buses" note={data && plural(buses.length, 'bus', 'buses')} flush>
        {loading ? (
          <SkeletonLines label="Loading buses" />
        ) : (
          <Table
            label="Buses"
            columns={columns}
            rows={buses}
            rowKey={(bus) => bus.id}
            onOpen={(bus) => navigate(paths.bus(bus.name))}
            rowTone={(bus) => (bus.status === 'DEGRADED' ? 'bad' : bus.metrics.dropped > 0 ? 'warn' : undefined)}
            empty={
              !fault && (
                <EmptyState icon={<Waypoints />} title="No bus yet" command="onex bus create shop --kind local" action={create}>
                  A bus of the kind local is inside of the registry and needs nothing else; others are on brokers of their own.
                </EmptyState>
              )
            }
          />
        )}
      </Card>
      {creating && <CreateBusDialog onClose={() => setCreating(false)} />}
    </Page>
  );
}
