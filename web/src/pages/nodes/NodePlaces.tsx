import { BusLink } from '~/components/Links';
import type { NodeQuery } from '~/gql/graphql';
import { formatCount, formatRate, plural } from '~/lib/format';
import { Badge } from '~/ui/Badge';
import { Card } from '~/ui/Card';
import { Table, type Column } from '~/ui/Table';
import { Nothing } from '~/ui/Time';

type NodeDetails = NonNullable<NodeQuery['node']>;
type Place = NodeDetails['inboundPorts'][number] & { way: 'in' | 'out' };

const columns: readonly Column<Place>[] = [
  { key: 'way', title: 'Way', width: '56px', cell: (place) => <Badge>{place.way}</Badge> },
  { key: 'name', title: 'Name', width: 'minmax(80px, 1fr)', cell: (place) => place.name },
  { key: 'protocol', title: 'Protocol', width: '92px', hideBelow: 2, cell: (place) => place.protocol },
  { key: 'where', title: 'Where', width: 'minmax(120px, 2fr)', cell: (place) => <Where place={place} /> },
  { key: 'rate', title: 'Events/s', width: '68px', align: 'end', cell: (place) => (place.messagesPerSecond === null ? <Nothing /> : formatRate(place.messagesPerSecond)) },
  { key: 'listen', title: 'Listen', width: '56px', align: 'end', cell: (place) => (place.bus ? formatCount(place.subscriberCount) : <Nothing />) },
];

/** What the node serves and where it is on buses, with how much travels there now. */
export function NodePlaces({ node }: { node: NodeDetails }) {
  const places: Place[] = [...node.inboundPorts.map((port) => ({ ...port, way: 'in' as const })), ...node.outboundPorts.map((port) => ({ ...port, way: 'out' as const }))];
  if (places.length === 0) return null;
  return (
    <Card title="Places" note={plural(places.length, 'place')} flush>
      <Table label="Places of the node" columns={columns} rows={places} rowKey={(place) => `${place.way} ${place.name}`} height={320} />
    </Card>
  );
}

/** A topic of a bus, or an address. */
function Where({ place: { topic, bus, busName, port, endpointUri } }: { place: Place }) {
  if (busName !== null) {
    return (
      <span title={`${topic ?? 'every topic'} on ${busName}`}>
        {topic === null ? 'every topic' : <code>{topic}</code>} on {bus ? <BusLink name={bus.name} /> : `${busName}, which is not there`}
      </span>
    );
  }
  const address = endpointUri ?? (port === null ? null : `port ${port}`);
  return address === null ? <Nothing /> : <code title={address}>{address}</code>;
}
