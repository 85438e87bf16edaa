import { PhoneOff } from 'lucide-react';
import { NodeLink } from '~/components/Links';
import { CallStatusOf } from '~/components/StatusOf';
import type { Change } from '~/data/changes';
import { useLiveQuery } from '~/data/useLiveQuery';
import type { InvocationStatus } from '~/gql/enums';
import type { ToolCallsQuery } from '~/gql/graphql';
import { formatCount, plural, titled } from '~/lib/format';
import { useUrlState } from '~/lib/useUrlState';
import { Card } from '~/ui/Card';
import { Dialog } from '~/ui/Dialog';
import { Select } from '~/ui/Field';
import { JsonLine } from '~/ui/Json';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Duration, Nothing, Time } from '~/ui/Time';
import { CallView } from './CallView';
import { ToolCallsDocument } from './queries';
import { toolSource } from './toolSource';

type Call = ToolCallsQuery['invocations']['nodes'][number];

const STATUSES: readonly InvocationStatus[] = ['RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELLED', 'REJECTED'];

const columns: readonly Column<Call>[] = [
  { key: 'when', title: 'When', width: '96px', cell: (call) => <Time at={call.requestedAt} />, sortBy: (call) => call.requestedAt },
  { key: 'status', title: 'Outcome', width: '112px', cell: (call) => <CallStatusOf status={call.status} />, sortBy: (call) => call.status },
  { key: 'took', title: 'Took', width: '80px', align: 'end', cell: (call) => <Duration ms={call.durationMs} />, sortBy: (call) => call.durationMs },
  { key: 'provider', title: 'Provider', width: 'minmax(90px, 1fr)', hideBelow: 2, cell: (call) => (call.provider ? <NodeLink id={call.provider.id} name={call.provider.name} /> : <Nothing />) },
  { key: 'arguments', title: 'Arguments', width: 'minmax(90px, 1.6fr)', hideBelow: 2, cell: (call) => <JsonLine value={call.arguments} /> },
  { key: 'answer', title: 'Answer', width: 'minmax(90px, 1.6fr)', hideBelow: 2, cell: (call) => (call.error ? <span title={call.error.message}>{call.error.message}</span> : <JsonLine value={call.result} />) },
  { key: 'caller', title: 'Caller', width: 'minmax(80px, 0.8fr)', hideBelow: 1, cell: (call) => call.caller, sortBy: (call) => call.caller },
  { key: 'version', title: 'Version', width: '72px', hideBelow: 1, cell: (call) => call.toolVersion ?? <Nothing />, sortBy: (call) => call.toolVersion },
  { key: 'attempts', title: 'Attempts', width: '72px', align: 'end', hideBelow: 1, cell: (call) => formatCount(call.attempts.length), sortBy: (call) => call.attempts.length },
];

/** The latest calls of the tool, in whatever version; each opens, and goes on while it is under way. */
export function ToolCalls({ name, onUse }: { name: string; onUse: (values: unknown) => void }) {
  const [status, setStatus] = useUrlState('status');
  const [open, setOpen] = useUrlState('call');
  const { data, fault, loading, refresh } = useLiveQuery({
    query: ToolCallsDocument,
    variables: { filter: { tool: name, ...(status ? { status: status as InvocationStatus } : {}) } },
    dependsOn: (change: Change) => toolSource.groupOfChange(change) === name,
  });
  const calls = data?.invocations.nodes ?? [];
  const total = data?.invocations.totalCount ?? 0;
  return (
    <Card
      title="Calls"
      note={data && (total > calls.length ? `the latest ${formatCount(calls.length)} of ${formatCount(total)}` : plural(total, 'call'))}
      actions={<Select label="Outcome" value={status} onChange={setStatus} options={[{ value: '', label: 'Any outcome' }, ...STATUSES.map((value) => ({ value, label: titled(value) }))]} />}
      flush
    >
      {fault && <ErrorState fault={fault} onRetry={refresh} />}
      {loading && <SkeletonLines label="Loading calls" />}
      {data && (
        <Table
          label="Calls"
          columns={columns}
          rows={calls}
          rowKey={(call) => call.id}
          onOpen={(call) => setOpen(call.id)}
          current={open}
          rowTone={(call) => (call.error ? 'bad' : undefined)}
          empty={
            <EmptyState icon={<PhoneOff />} title={status ? 'No call ended so' : 'Nobody called it yet'} command={status ? undefined : `onex proxy-invoke --tool ${name}`}>
              {status ? 'Of calls that ended, the last 10,000 of all tools are remembered.' : 'Call it from the first part of this page, or on the command line.'}
            </EmptyState>
          }
        />
      )}
      <Dialog as="sheet" open={open !== ''} onClose={() => setOpen('')} title={`Call of ${name}`}>
        {open && <CallView key={open} id={open} onUse={onUse} />}
      </Dialog>
    </Card>
  );
}
