import { Ear, Trash2 } from 'lucide-react';
import { NodeLink } from '~/components/Links';
import { useAction } from '~/data/hooks';
import { formatCompact, formatRate, plural, words } from '~/lib/format';
import { Status } from '~/ui/Badge';
import { IconButton } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { EmptyState } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Nothing, Time } from '~/ui/Time';
import { toast } from '~/ui/Toast';
import type { BusDetails } from './BusPage';
import { DeleteSubscriberDocument } from './queries';

type Subscriber = BusDetails['subscribers'][number];

const columns: readonly Column<Subscriber>[] = [
  { key: 'name', title: 'Name', width: 'minmax(110px, 1.3fr)', cell: (subscriber) => subscriber.name, sortBy: (subscriber) => subscriber.name },
  { key: 'there', title: 'Listens', width: '92px', cell: (subscriber) => <Status tone={subscriber.connected ? 'ok' : 'warn'}>{subscriber.connected ? 'now' : 'away'}</Status>, sortBy: (subscriber) => Number(subscriber.connected) },
  { key: 'durability', title: 'Remembered', width: '92px', hideBelow: 2, cell: (subscriber) => words(subscriber.durability), sortBy: (subscriber) => subscriber.durability },
  { key: 'node', title: 'Node', width: 'minmax(90px, 1fr)', hideBelow: 1, cell: (subscriber) => (subscriber.node ? <NodeLink {...subscriber.node} /> : <Nothing />) },
  { key: 'topics', title: 'Topics', width: 'minmax(90px, 1.2fr)', hideBelow: 2, cell: (subscriber) => <code title={subscriber.topics.join(', ')}>{subscriber.topics.length > 0 ? subscriber.topics.join(', ') : 'all'}</code> },
  { key: 'rate', title: 'Events/s', width: '68px', align: 'end', hideBelow: 2, cell: (subscriber) => formatRate(subscriber.messagesPerSecond), sortBy: (subscriber) => subscriber.messagesPerSecond },
  { key: 'queued', title: 'Waiting', width: '64px', align: 'end', cell: (subscriber) => formatCompact(subscriber.queued), sortBy: (subscriber) => subscriber.queued },
  { key: 'lag', title: 'Behind', width: '60px', align: 'end', cell: (subscriber) => formatCompact(subscriber.lag), sortBy: (subscriber) => subscriber.lag },
  { key: 'lost', title: 'Lost', width: '56px', align: 'end', hideBelow: 2, cell: (subscriber) => formatCompact(subscriber.dropped), sortBy: (subscriber) => subscriber.dropped },
  { key: 'seen', title: 'Took last', width: '88px', align: 'end', hideBelow: 1, cell: (subscriber) => <Time at={subscriber.lastSeenAt} />, sortBy: (subscriber) => subscriber.lastSeenAt },
];

export function BusSubscribers({ bus }: { bus: BusDetails }) {
  const forget = useAction(DeleteSubscriberDocument);
  const remove = async (name: string) => {
    const { fault } = await forget.run({ input: { bus: bus.name, name } });
    if (fault) toast.failed(fault);
    else toast.done(`${name} is forgotten, with what waited for it`);
  };
  const withActions: readonly Column<Subscriber>[] = [
    ...columns,
    {
      key: 'forget',
      title: 'Forget',
      width: '56px',
      cell: (subscriber) =>
        subscriber.durability === 'DURABLE' && (
          <IconButton size="small" label={`Forget ${subscriber.name}`} icon={<Trash2 aria-hidden="true" />} disabled={forget.running} onClick={() => remove(subscriber.name)} />
        ),
    },
  ];
  return (
    <Card title="Subscribers" note={plural(bus.subscribers.length, 'subscriber')} flush>
      <Table
        label="Subscribers"
        columns={withActions}
        rows={bus.subscribers}
        rowKey={(subscriber) => subscriber.id}
        rowTone={(subscriber) => (subscriber.dropped > 0 ? 'bad' : undefined)}
        empty={
          <EmptyState icon={<Ear />} title="Nobody listens" command={`onex event-monitor --bus ${bus.name} --durable billing`}>
            With a name, a subscriber is remembered: what it has not acknowledged comes again.
          </EmptyState>
        }
      />
    </Card>
  );
}
