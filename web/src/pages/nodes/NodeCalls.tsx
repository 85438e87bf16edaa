import { useState } from 'react';
import { ToolLink } from '~/components/Links';
import { CallStatusOf } from '~/components/StatusOf';
import { about } from '~/data/about';
import { useLiveQuery } from '~/data/useLiveQuery';
import type { NodeCallsQuery } from '~/gql/graphql';
import { plural } from '~/lib/format';
import { Card, Fact, Facts } from '~/ui/Card';
import { Id } from '~/ui/Copy';
import { Dialog } from '~/ui/Dialog';
import { Json, JsonLine } from '~/ui/Json';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Duration, Time } from '~/ui/Time';
import type { NodeDetails } from './NodeSummary';
import { NodeCallsDocument } from './queries';

type Call = NodeCallsQuery['invocations']['nodes'][number];

const columns: readonly Column<Call>[] = [
  { key: 'tool', title: 'Tool', width: 'minmax(110px, 1fr)', cell: (call) => <ToolLink name={call.toolName} version={call.toolVersion ?? undefined} /> },
  { key: 'status', title: 'Outcome', width: '110px', cell: (call) => <CallStatusOf status={call.status} />, sortBy: (call) => call.status },
  { key: 'answer', title: 'Answer', width: 'minmax(100px, 2fr)', hideBelow: 2, cell: (call) => (call.error ? call.error.message : <JsonLine value={call.result} />) },
  { key: 'caller', title: 'Caller', width: 'minmax(90px, 1fr)', hideBelow: 1, cell: (call) => call.caller },
  { key: 'took', title: 'Took', width: '72px', align: 'end', cell: (call) => <Duration ms={call.durationMs} />, sortBy: (call) => call.durationMs },
  { key: 'when', title: 'When', width: '96px', align: 'end', cell: (call) => <Time at={call.requestedAt} />, sortBy: (call) => call.requestedAt },
];

/** The latest calls that the node took. */
export function NodeCalls({ node }: { node: NodeDetails }) {
  const { data, fault, loading, refresh } = useLiveQuery({ query: NodeCallsDocument, variables: { nodeId: node.id }, dependsOn: about.calls });
  const [open, setOpen] = useState<string | null>(null);
  const calls = data?.invocations.nodes ?? [];
  const chosen = calls.find((call) => call.id === open);
  return (
    <Card title="Latest executions" note={data && plural(calls.length, 'call')} flush>
      {fault && <ErrorState fault={fault} onRetry={refresh} />}
      {loading && <SkeletonLines label="Loading executions" />}
      {data && (
        <Table
          label="Latest executions"
          columns={columns}
          rows={calls}
          rowKey={(call) => call.id}
          onOpen={(call) => setOpen(call.id)}
          current={open}
          rowTone={(call) => (call.error ? 'bad' : undefined)}
          empty={
            <EmptyState title="It took no call yet" command={node.tools.nodes[0] && `onex proxy-invoke --tool ${node.tools.nodes[0].name}`}>
              {node.tools.nodes.length > 0 ? 'Call one of its tools from the tool’s page, or on the command line.' : 'It offers no tool that could be called.'}
            </EmptyState>
          }
        />
      )}
      <Dialog as="sheet" open={chosen !== undefined} onClose={() => setOpen(null)} title={chosen ? `Call of ${chosen.toolName}` : ''}>
        {chosen && <CallDetails call={chosen} />}
      </Dialog>
    </Card>
  );
}

function CallDetails({ call }: { call: Call }) {
  return (
    <div style={{ display: 'grid', gap: 16 }}>
      <Facts>
        <Fact name="Outcome"><CallStatusOf status={call.status} /></Fact>
        <Fact name="Caller">{call.caller}</Fact>
        <Fact name="When"><Time at={call.requestedAt} as="clock" /></Fact>
        <Fact name="Took"><Duration ms={call.durationMs} /></Fact>
        <Fact name="Attempts">{call.attempts.length}</Fact>
        <Fact name="Id"><Id id={call.id} part="all" /></Fact>
      </Facts>
      {call.error && <p>{call.error.message} <code>{call.error.code}</code></p>}
      <div><h3>Arguments</h3><Json value={call.arguments} label="Arguments" /></div>
      {call.result !== null && <div><h3>Result</h3><Json value={call.result} label="Result" /></div>}
    </div>
  );
}
