import { Link } from 'wouter';
import { BusLink } from '~/components/Links';
import { BusStatusOf } from '~/components/StatusOf';
import type { Fault } from '~/data/errors';
import { useBusMetrics, withMetrics } from '~/data/useBusMetrics';
import type { OverviewBusesQuery } from '~/gql/graphql';
import { formatCompact, formatRate } from '~/lib/format';
import { paths } from '~/lib/paths';
import { Card } from '~/ui/Card';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';

type Bus = OverviewBusesQuery['buses']['nodes'][number];

const columns: readonly Column<Bus>[] = [
  { key: 'name', title: 'Name', width: 'minmax(80px, 1.5fr)', cell: (bus) => <BusLink name={bus.name} /> },
  { key: 'status', title: 'Status', width: '96px', cell: (bus) => <BusStatusOf status={bus.status} reason={bus.reason} /> },
  { key: 'rate', title: 'Events/s', width: '60px', align: 'end', cell: (bus) => formatRate(bus.metrics.messagesPerSecond) },
  { key: 'published', title: 'Published', width: '66px', align: 'end', cell: (bus) => formatCompact(bus.metrics.published) },
];

export function BusesCard({ buses, fault }: { buses: OverviewBusesQuery | undefined; fault: Fault | null }) {
  const asked = buses?.buses.nodes ?? [];
  const nodes = withMetrics(asked, useBusMetrics(asked.map((bus) => bus.name)));
  return (
    <Card title="Buses" flush actions={<Link href={paths.buses()}>All buses</Link>}>
      {fault && !buses ? (
        <ErrorState fault={fault} />
      ) : !buses ? (
        <SkeletonLines count={3} />
      ) : (
        <Table
          label="Buses"
          columns={columns}
          rows={nodes}
          rowKey={(bus) => bus.id}
          height="none"
          empty={
            <EmptyState title="No bus yet" command="onex bus create shop --kind local">
              A bus carries events between nodes.
            </EmptyState>
          }
        />
      )}
    </Card>
  );
}
