import { Plug } from 'lucide-react';
import { NodeLink } from '~/components/Links';
import { NodeStatusOf, TrustOf } from '~/components/StatusOf';
import { formatCount, formatPercent, plural, titled } from '~/lib/format';
import { formatExact } from '~/lib/time';
import { Status } from '~/ui/Badge';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { EmptyState } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Nothing, Time, TimeLeft } from '~/ui/Time';
import type { ToolDetails } from './CallPanel';
import { transportWords } from './transports';

type Provider = ToolDetails['providers'][number];

const columns: readonly Column<Provider>[] = [
  { key: 'node', title: 'Node', width: 'minmax(120px, 1.4fr)', cell: ({ node }) => <NodeLink id={node.id} name={node.name} />, sortBy: ({ node }) => node.name },
  { key: 'status', title: 'Node is', width: '100px', hideBelow: 2, cell: ({ node }) => <NodeStatusOf status={node.status} />, sortBy: ({ node }) => node.status },
  { key: 'calls', title: 'Takes calls', width: 'minmax(110px, 2fr)', cell: (provider) => <TakesCalls provider={provider} />, sortBy: (provider) => (provider.healthy ? 0 : 1) },
  { key: 'inFlight', title: 'Under way', width: '88px', align: 'end', cell: (provider) => <InFlight provider={provider} />, sortBy: (provider) => provider.inFlight },
  { key: 'load', title: 'Load', width: '60px', align: 'end', hideBelow: 1, cell: ({ load }) => (load === null ? <Nothing /> : formatPercent(load)), sortBy: ({ load }) => load },
  { key: 'transport', title: 'By', width: '90px', hideBelow: 1, cell: ({ transport, endpoint }) => <span title={endpoint ?? undefined}>{transportWords[transport]}</span> },
  { key: 'trust', title: 'Trust', width: '100px', hideBelow: 2, cell: ({ node }) => <TrustOf state={node.trust.state} />, sortBy: ({ node }) => node.trust.state },
  { key: 'since', title: 'Offers it since', width: '110px', align: 'end', hideBelow: 2, cell: ({ registeredAt }) => <Time at={registeredAt} />, sortBy: ({ registeredAt }) => registeredAt },
  { key: 'left', title: 'Offer lapses', width: '100px', align: 'end', hideBelow: 1, cell: ({ expiresAt }) => (expiresAt ? <TimeLeft until={expiresAt} /> : <span className="muted">with the node</span>) },
];

/** Who offers the tool, and whether calls reach them. */
export function ToolProviders({ tool, onChoose }: { tool: ToolDetails; onChoose: (nodeId: string) => void }) {
  const withChoice: readonly Column<Provider>[] = [
    ...columns,
    {
      key: 'choose',
      title: 'Choose',
      width: '92px',
      align: 'end',
      hideBelow: 2,
      cell: (provider) => (
        <Button size="small" disabled={!provider.healthy} onClick={() => onChoose(provider.node.id)} aria-label={`Call this: ${provider.node.name}`}>
          Call this
        </Button>
      ),
    },
  ];
  return (
    <Card title="Providers" note={plural(tool.providers.length, 'provider')} flush>
      <Table
        label="Providers"
        columns={withChoice}
        rows={tool.providers}
        rowKey={({ node }) => node.id}
        rowTone={(provider) => (provider.quarantine ? 'warn' : undefined)}
        empty={
          <EmptyState icon={<Plug />} title="Nobody offers it" command={`onex node run --name my-node --tool ${tool.name} -- my-command`}>
            This makes a provider of a command.
          </EmptyState>
        }
      />
    </Card>
  );
}

function TakesCalls({ provider }: { provider: Provider }) {
  const { healthy, connected, quarantine, circuit, node } = provider;
  const until = circuit.retryAt ? `\nTried again at ${formatExact(circuit.retryAt)}` : '';
  if (circuit.state === 'HALF_OPEN') return <Status tone="warn" title={circuit.cause ?? undefined}>One call finds out</Status>;
  if (healthy) return <Status tone="ok">Yes</Status>;
  const why = quarantine ?? (node.status === 'DECLARED' ? 'Known from a contract alone' : node.status !== 'ONLINE' ? `The node is ${titled(node.status).toLowerCase()}` : connected ? 'Not now' : 'The node does not listen');
  return <Status tone={quarantine ? 'warn' : 'bad'} title={`${why}${until}`}>{why}</Status>;
}

function InFlight({ provider: { inFlight, maxInFlight } }: { provider: Provider }) {
  return (
    <>
      {formatCount(inFlight)}
      {maxInFlight !== null && <span className="muted"> of {formatCount(maxInFlight)}</span>}
    </>
  );
}
