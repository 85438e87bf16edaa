import { ToolLink, NodeLink } from '~/components/Links';
import { CallStatusOf } from '~/components/StatusOf';
import type { Fault } from '~/data/errors';
import type { OverviewCallsQuery } from '~/gql/graphql';
import { formatDuration, formatPercent } from '~/lib/format';
import { Card } from '~/ui/Card';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Duration, Nothing, Time } from '~/ui/Time';

type Call = OverviewCallsQuery['invocations']['nodes'][number];

const columns: readonly Column<Call>[] = [
  { key: 'tool', title: 'Tool', width: 'minmax(110px, 1.4fr)', cell: (call) => <ToolLink name={call.toolName} version={call.toolVersion ?? undefined} /> },
  { key: 'status', title: 'Outcome', width: 'minmax(100px, 1.4fr)', cell: (call) => <Outcome call={call} /> },
  { key: 'provider', title: 'Provider', width: 'minmax(100px, 1fr)', hideBelow: 2, cell: (call) => (call.provider ? <NodeLink {...call.provider} /> : <Nothing />) },
  { key: 'took', title: 'Took', width: '72px', align: 'end', cell: (call) => <Duration ms={call.durationMs} /> },
  { key: 'when', title: 'When', width: '92px', align: 'end', cell: (call) => <Time at={call.requestedAt} /> },
];

function Outcome({ call }: { call: Call }) {
  return (
    <span title={call.error?.message}>
      <CallStatusOf status={call.status} />
      {call.error && <span className="muted">: {call.error.message}</span>}
    </span>
  );
}

const SHOWN = 8;

export function CallsCard({ calls, fault }: { calls: OverviewCallsQuery | undefined; fault: Fault | null }) {
  const nodes = calls?.invocations.nodes ?? [];
  return (
    <Card title="Latest calls" note={nodes.length > 0 && summary(nodes)} flush>
      {fault && !calls ? (
        <ErrorState fault={fault} />
      ) : !calls ? (
        <SkeletonLines />
      ) : (
        <Table
          label="Latest calls of tools"
          columns={columns}
          rows={nodes.slice(0, SHOWN)}
          rowKey={(call) => call.id}
          height="none"
          empty={
            <EmptyState title="No tool was called yet" command={"onex node run --name shouter --tool shout -- jq '.text | ascii_upcase'"}>
              A node of one command offers a tool; the tool’s page has a form to call it.
            </EmptyState>
          }
        />
      )}
    </Card>
  );
}

function summary(calls: readonly Call[]): string {
  const durations = calls.flatMap((call) => (call.durationMs === null ? [] : [call.durationMs])).sort((a, b) => a - b);
  const median = durations[Math.floor(durations.length / 2)];
  const ended = calls.filter((call) => !['PENDING', 'ROUTED', 'RUNNING'].includes(call.status));
  const succeeded = ended.filter((call) => call.status === 'SUCCEEDED').length;
  const share = ended.length > 0 ? `${formatPercent(succeeded / ended.length)} of the last ${ended.length} succeeded` : '';
  return [share, median === undefined ? '' : `half within ${formatDuration(median)}`].filter(Boolean).join(', ');
}
