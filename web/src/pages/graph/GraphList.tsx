import { NodeLink } from '~/components/Links';
import { NodeStatusOf } from '~/components/StatusOf';
import { titled } from '~/lib/format';
import { Badge } from '~/ui/Badge';
import { Card } from '~/ui/Card';
import { EmptyState } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Nothing } from '~/ui/Time';
import type { GraphItem, GraphModel } from './model';

export interface GraphListProps {
  model: GraphModel;
  /** Only these; all when null. */
  found: ReadonlySet<string> | null;
  focused: boolean;
  chosen: string | null;
  breaking: ReadonlySet<string> | null;
  onChoose: (id: string) => void;
}

/** The picture in words: the same nodes, with how many feed each and how many it feeds. */
export function GraphList({ model, found, focused, chosen, breaking, onChoose }: GraphListProps) {
  const rows = [...model.items.values()].filter((item) => (found === null || found.has(item.id)) && (breaking === null || breaking.has(item.id)));
  return (
    <Card flush>
      <Table
        label="Nodes of the graph"
        columns={columnsFor(model, focused)}
        rows={rows}
        rowKey={(item) => item.id}
        current={chosen}
        onOpen={(item) => onChoose(item.id)}
        height="max(420px, calc(100dvh - 200px))"
        empty={<EmptyState title="No node has this in its name" />}
      />
    </Card>
  );
}

function columnsFor(model: GraphModel, focused: boolean): Column<GraphItem>[] {
  const feeds = (item: GraphItem) => model.outOf.get(item.id)?.length ?? 0;
  const fed = (item: GraphItem) => model.into.get(item.id)?.length ?? 0;
  const columns: Column<GraphItem>[] = [
    { key: 'name', title: 'Name', width: 'minmax(150px, 2.4fr)', cell: (item) => (item.missing ? item.name : <NodeLink id={item.id} name={item.name} />), sortBy: (item) => item.name },
    { key: 'status', title: 'Status', width: '110px', cell: (item) => (item.status ? <NodeStatusOf status={item.status} /> : <Badge tone="bad">Missing</Badge>), sortBy: (item) => item.status ?? '' },
    { key: 'kind', title: 'Kind', width: '110px', hideBelow: 1, cell: (item) => (item.kind ? titled(item.kind) : <Nothing />), sortBy: (item) => item.kind },
    { key: 'fed', title: 'Fed by', width: '64px', align: 'end', cell: fed, sortBy: fed },
    { key: 'feeds', title: 'Feeds', width: '64px', align: 'end', cell: feeds, sortBy: feeds },
    { key: 'cycle', title: 'Cycle', width: '90px', hideBelow: 2, cell: (item) => (item.cycle === null ? <Nothing /> : <Badge tone="warn">In a cycle</Badge>), sortBy: (item) => item.cycle },
  ];
  if (focused) columns.push({ key: 'depth', title: 'Steps', width: '64px', align: 'end', hideBelow: 2, cell: (item) => item.depth, sortBy: (item) => item.depth });
  return columns;
}
