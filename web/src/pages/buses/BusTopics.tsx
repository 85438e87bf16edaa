import { FileJson, Hash } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { NodeLink } from '~/components/Links';
import { formatCompact, formatRate, plural } from '~/lib/format';
import { paths } from '~/lib/paths';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { Dialog } from '~/ui/Dialog';
import { Json } from '~/ui/Json';
import { EmptyState } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Nothing } from '~/ui/Time';
import type { BusDetails } from './BusPage';
import { isRegistryBus } from './registryBus';
import { DefineTopicDialog } from './DefineTopicDialog';

type Topic = BusDetails['topics'][number];

const columnsOf = (bus: string): readonly Column<Topic>[] => [
  { key: 'name', title: 'Name', width: 'minmax(130px, 2fr)', cell: (topic) => <Link href={paths.bus(bus, { topic: topic.name })}>{topic.name}</Link>, sortBy: (topic) => topic.name },
  { key: 'rate', title: 'Events/s', width: '72px', align: 'end', cell: (topic) => formatRate(topic.metrics?.messagesPerSecond ?? 0), sortBy: (topic) => topic.metrics?.messagesPerSecond ?? 0 },
  { key: 'published', title: 'Published', width: '76px', align: 'end', cell: (topic) => formatCompact(topic.metrics?.published ?? 0), sortBy: (topic) => topic.metrics?.published ?? 0 },
  { key: 'unfit', title: 'Unfit', width: '60px', align: 'end', hideBelow: 2, cell: (topic) => formatCompact(topic.metrics?.invalid ?? 0), sortBy: (topic) => topic.metrics?.invalid ?? 0 },
  { key: 'lost', title: 'Lost', width: '60px', align: 'end', hideBelow: 2, cell: (topic) => formatCompact(topic.metrics?.dropped ?? 0), sortBy: (topic) => topic.metrics?.dropped ?? 0 },
  { key: 'listen', title: 'Listen', width: '60px', align: 'end', hideBelow: 2, cell: (topic) => topic.subscribers.length, sortBy: (topic) => topic.subscribers.length },
  { key: 'schema', title: 'Schema', width: '80px', hideBelow: 2, cell: (topic) => (topic.schema === null ? <Nothing /> : topic.schemaNode ? 'contract' : 'defined') },
  { key: 'declared', title: 'By contract', width: 'minmax(110px, 1fr)', hideBelow: 1, cell: (topic) => declared(topic) },
];

function declared({ publishers, declaredSubscribers }: Topic) {
  if (publishers.length + declaredSubscribers.length === 0) return <Nothing />;
  return `${publishers.length} publish, ${declaredSubscribers.length} read`;
}

export function BusTopics({ bus }: { bus: BusDetails }) {
  const [open, setOpen] = useState<string | null>(null);
  const [defining, setDefining] = useState<Pick<Topic, 'name' | 'schema'> | null>(null);
  const topic = bus.topics.find((each) => each.name === open);
  const define = (
    <Button size="small" icon={<FileJson aria-hidden="true" />} onClick={() => setDefining({ name: '', schema: null })}>
      Define a topic
    </Button>
  );
  return (
    <Card title="Topics" note={`${plural(bus.topics.length, 'topic')} since the bus was started`} flush actions={!isRegistryBus(bus) && define}>
      <Table
        label="Topics"
        columns={columnsOf(bus.name)}
        rows={bus.topics}
        rowKey={(each) => each.name}
        onOpen={(each) => setOpen(each.name)}
        empty={
          <EmptyState icon={<Hash />} title="Nothing was published yet" command={`onex publish ${bus.name} --topic orders.placed --type order.placed --node NODE --metadata '{"total": 12.5}'`}>
            A topic is there as soon as an event travels under it.
          </EmptyState>
        }
      />
      <Dialog as="sheet" open={topic !== undefined} onClose={() => setOpen(null)} title={topic?.name ?? ''}>
        {topic && <TopicDetails topic={topic} onDefine={isRegistryBus(bus) ? null : () => setDefining(topic)} />}
      </Dialog>
      {defining && <DefineTopicDialog bus={bus} topic={defining.name} schema={defining.schema} onClose={() => setDefining(null)} />}
    </Card>
  );
}

function TopicDetails({ topic, onDefine }: { topic: Topic; onDefine: (() => void) | null }) {
  return (
    <div style={{ display: 'grid', gap: 16 }}>
      <People title="Publish by contract" nodes={topic.publishers} />
      <People title="Read by contract" nodes={topic.declaredSubscribers} />
      <section>
        <h3>Schema</h3>
        {topic.schema === null ? <p className="muted">None: whatever is an event fits.</p> : topic.schemaNode ? <p className="prose">From the contract of <NodeLink {...topic.schemaNode} />.</p> : null}
        {topic.schema !== null && <Json value={topic.schema} label="Schema" />}
      </section>
      {onDefine && (
        <div>
          <Button icon={<FileJson aria-hidden="true" />} onClick={onDefine}>{topic.schema === null ? 'Define a schema' : 'Define it anew'}</Button>
        </div>
      )}
    </div>
  );
}

function People({ title, nodes }: { title: string; nodes: readonly { id: string; name: string }[] }) {
  return (
    <section>
      <h3>{title}</h3>
      {nodes.length === 0 ? (
        <p className="muted">Nobody.</p>
      ) : (
        <ul>
          {nodes.map((node) => (
            <li key={node.id}>
              <NodeLink id={node.id} name={node.name} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
