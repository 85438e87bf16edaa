import { Columns } from '~/components/Page';
import { NodeLink, ToolLink } from '~/components/Links';
import { LeaseStatusOf, NodeStatusOf } from '~/components/StatusOf';
import type { NodeQuery } from '~/gql/graphql';
import { formatCount, formatPercent, plural, titled, words } from '~/lib/format';
import { Badge } from '~/ui/Badge';
import { Card, Fact, Facts, Grid, Stat } from '~/ui/Card';
import { CodeBlock, Id } from '~/ui/Copy';
import { Json } from '~/ui/Json';
import { EmptyState } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Duration, Nothing, Time, TimeLeft } from '~/ui/Time';
import { NodePlaces } from './NodePlaces';
import styles from './NodeSummary.module.css';

export type NodeDetails = NonNullable<NodeQuery['node']>;
type Neighbour = NodeDetails['upstream'][number];
type OfferedTool = NodeDetails['tools']['nodes'][number];
type Lease = NodeDetails['ports'][number];

const toolColumns: readonly Column<OfferedTool>[] = [
  { key: 'name', title: 'Name', width: 'minmax(120px, 1.2fr)', cell: (tool) => <ToolLink name={tool.name} version={tool.version} /> },
  { key: 'version', title: 'Version', width: '76px', cell: (tool) => tool.version },
  { key: 'description', title: 'Description', width: 'minmax(90px, 2fr)', hideBelow: 2, cell: (tool) => tool.quarantine ?? tool.description ?? <Nothing /> },
  { key: 'calls', title: 'Calls', width: '64px', align: 'end', cell: (tool) => formatCount(tool.metrics.calls) },
  { key: 'median', title: 'Half within', width: '84px', align: 'end', hideBelow: 2, cell: (tool) => <Duration ms={tool.metrics.p50DurationMs} /> },
];

const leaseColumns: readonly Column<Lease>[] = [
  { key: 'port', title: 'Port', width: '70px', cell: (lease) => lease.port },
  { key: 'status', title: 'Status', width: '96px', cell: (lease) => <LeaseStatusOf status={lease.status} /> },
  { key: 'protocol', title: 'Protocol', width: '80px', cell: (lease) => lease.protocol },
  { key: 'purpose', title: 'Purpose', hideBelow: 2, cell: (lease) => lease.purpose ?? <Nothing /> },
  { key: 'left', title: 'Time left', width: '84px', align: 'end', cell: (lease) => <TimeLeft until={lease.expiresAt} /> },
];

export function NodeSummary({ node }: { node: NodeDetails }) {
  return (
    <Columns
      main={
        <>
          <Execution node={node} />
          <Card title="Tools" note={plural(node.tools.nodes.length, 'tool')} flush>
            <Table label="Tools of the node" columns={toolColumns} rows={node.tools.nodes} rowKey={(tool) => tool.id} height={420} empty={<EmptyState title="It offers no tool">A contract offers its node as a tool by its <code>mcp</code> part.</EmptyState>} />
          </Card>
          <div className={styles.pair}>
            <NeighbourCard title="Upstream" none="It depends on nobody, and reads from nobody." nodes={node.upstream} />
            <NeighbourCard title="Downstream" none="Nothing breaks when it stops." nodes={node.downstream} />
          </div>
          <NodePlaces node={node} />
          <Ports node={node} />
        </>
      }
      side={
        <>
          <Identity node={node} />
          <TrustCard node={node} />
          <CapabilitiesCard node={node} />
        </>
      }
    />
  );
}

function Execution({ node }: { node: NodeDetails }) {
  const { execution } = node;
  return (
    <Grid min={150}>
      <Stat name="Calls" value={formatCount(execution.count)} note={execution.lastAt ? <>last <Time at={execution.lastAt} /></> : 'none yet'} />
      <Stat name="Succeeded" value={execution.successRate === null ? <Nothing /> : formatPercent(execution.successRate)} note={`${formatCount(execution.failureCount)} failed`} />
      <Stat name="Half within" value={<Duration ms={execution.p50DurationMs} />} note={<>99 of 100 within <Duration ms={execution.p99DurationMs} /></>} />
    </Grid>
  );
}

function Identity({ node }: { node: NodeDetails }) {
  return (
    <Card title="Identity">
      <Facts>
        <Fact name="Id"><Id id={node.id} part="all" /></Fact>
        <Fact name="Version">{node.version ?? <Nothing />}</Fact>
        <Fact name="Namespace">{node.namespace ?? <Nothing />}</Fact>
        <Fact name="Host">{node.host ?? <Nothing />}</Fact>
        <Fact name="Runs">{words(node.executionMode)}</Fact>
        <Fact name="Registered"><Time at={node.registeredAt} /></Fact>
        <Fact name="Last seen"><Time at={node.lastSeenAt} /></Fact>
        <Fact name="Lifetime">{node.ttlSeconds === null ? 'no end' : plural(node.ttlSeconds, 'second')}</Fact>
        {node.graceUntil && <Fact name="Grace until"><Time at={node.graceUntil} /></Fact>}
        {node.ownedByAgent && <Fact name="Owned by">{node.ownedByAgent}</Fact>}
        {node.subscribedByAgents.length > 0 && <Fact name="Followed by">{node.subscribedByAgents.join(', ')}</Fact>}
        <Fact name="Tags">{node.tags.length > 0 ? <span className={styles.tags}>{node.tags.map((tag) => <Badge key={tag}>{tag}</Badge>)}</span> : <Nothing />}</Fact>
      </Facts>
      {hasEntries(node.metadata) && <div className={styles.below}><Json value={node.metadata} label="Metadata" /></div>}
      <div className={styles.below}><CodeBlock code={`onex describe --node ${node.name}`} label="Command that shows this node" /></div>
    </Card>
  );
}

function TrustCard({ node }: { node: NodeDetails }) {
  const { trust } = node;
  return (
    <Card title="Trust">
      <Facts>
        <Fact name="State">{titled(trust.state)}{trust.validated ? ', validated' : ''}</Fact>
        <Fact name="Score">{trust.score.toFixed(2)}</Fact>
        <Fact name="Lifecycle">{titled(trust.lifecycle)}</Fact>
        <Fact name="Validators">{trust.validatorIds.length > 0 ? trust.validatorIds.map((id) => <Id key={id} id={id} />) : 'nobody vouched for it'}</Fact>
        {trust.failureModes.length > 0 && <Fact name="Found wrong">{trust.failureModes.join(', ')}</Fact>}
        <Fact name="Key">{node.publicKey ? <Id id={node.publicKey} part="all" /> : 'none: its registrations are not signed'}</Fact>
      </Facts>
    </Card>
  );
}

function CapabilitiesCard({ node }: { node: NodeDetails }) {
  const { supportsHotReload, availableModels, versionedTemplates, overrideFlags } = node.capabilities;
  if (!supportsHotReload && availableModels.length + versionedTemplates.length + overrideFlags.length === 0) return null;
  return (
    <Card title="Capabilities">
      <Facts>
        <Fact name="Hot reload">{supportsHotReload ? 'yes' : 'no'}</Fact>
        {availableModels.length > 0 && <Fact name="Models">{availableModels.join(', ')}</Fact>}
        {versionedTemplates.length > 0 && <Fact name="Templates">{versionedTemplates.map((template) => template.templateId).join(', ')}</Fact>}
        {overrideFlags.length > 0 && <Fact name="Overrides">{overrideFlags.join(', ')}</Fact>}
      </Facts>
    </Card>
  );
}

function NeighbourCard({ title, none, nodes }: { title: string; none: string; nodes: readonly Neighbour[] }) {
  return (
    <Card title={title} note={plural(nodes.length, 'node')}>
      {nodes.length === 0 && <p className="muted">{none}</p>}
      <ul className={styles.neighbours} tabIndex={nodes.length > 8 ? 0 : undefined} aria-label={title}>
        {nodes.map((neighbour) => (
          <li key={neighbour.id}>
            <span className="truncate"><NodeLink id={neighbour.id} name={neighbour.name} /></span>
            <NodeStatusOf status={neighbour.status} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Ports({ node }: { node: NodeDetails }) {
  if (node.ports.length === 0) return null;
  return (
    <Card title="Ports" flush>
      <Table label="Port leases of the node" columns={leaseColumns} rows={node.ports} rowKey={(lease) => lease.id} height={320} />
    </Card>
  );
}

function hasEntries(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}
