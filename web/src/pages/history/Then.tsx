import { GitCompareArrows } from 'lucide-react';
import { Link } from 'wouter';
import { BusLink, NodeLink, ToolLink } from '~/components/Links';
import { BusStatusOf, LeaseStatusOf, NodeStatusOf, TrustOf } from '~/components/StatusOf';
import { useChangesSnapshot } from '~/data/hooks';
import { formatCount, plural, titled } from '~/lib/format';
import { paths } from '~/lib/paths';
import { useUrlState } from '~/lib/useUrlState';
import { Button } from '~/ui/Button';
import { Card, Grid, Stat } from '~/ui/Card';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Tabs } from '~/ui/Tabs';
import { Nothing, Time } from '~/ui/Time';
import styles from './History.module.css';
import { MomentPicker } from './MomentPicker';
import type { Snapshot, SnapshotBus, SnapshotLease, SnapshotNode, SnapshotTool } from './snapshot';
import type { HistoryAddress } from './useFilter';
import { useOldest, useSnapshot } from './useSnapshot';

/** The whole registry as it was at a moment. */
export function Then({ address, set }: { address: HistoryAddress; set: (next: Partial<HistoryAddress>, journey?: boolean) => void }) {
  const { sequence: last } = useChangesSnapshot();
  const first = useOldest();
  const at = address.at || String(last);
  const { snapshot, loading, fault } = useSnapshot(at);
  return (
    <div className={styles.timeline}>
      <MomentPicker label="The moment" value={at} onChange={(next) => set({ at: next })} first={first} last={last} snapshot={loading ? null : snapshot} />
      {fault && <ErrorState fault={fault} />}
      {!snapshot && !fault && <SkeletonLines count={8} label="Reading the registry as it was" />}
      {snapshot && (
        <div className={loading ? styles.stale : undefined} aria-busy={loading}>
          <div className={styles.said2}>
            <p role="status">
              As of change #{formatCount(snapshot.sequence)}, made <Time at={snapshot.time} as="clock" />
              {snapshot.sequence < last ? `, ${plural(last - snapshot.sequence, 'place')} before now.` : ': as it is now.'}
            </p>
            <Button size="small" icon={<GitCompareArrows aria-hidden="true" />} onClick={() => set({ view: 'between', from: String(snapshot.sequence), at: '' }, true)}>
              What changed since
            </Button>
          </div>
          <Parts snapshot={snapshot} />
        </div>
      )}
    </div>
  );
}

function Parts({ snapshot }: { snapshot: Snapshot }) {
  const [tab, setTab] = useUrlState('list', 'nodes');
  const { counts } = snapshot;
  return (
    <div className={styles.timeline}>
      <Grid min={150}>
        <Stat name="Nodes" value={formatCount(counts.nodes)} note={`${formatCount(counts.onlineNodes)} online, ${formatCount(counts.declaredNodes)} declared, ${formatCount(counts.offlineNodes)} offline`} />
        <Stat name="Tools" value={formatCount(counts.tools)} />
        <Stat name="Contracts" value={formatCount(counts.contracts)} note={plural(counts.topics, 'topic')} />
        <Stat name="Leases that held" value={formatCount(counts.activeLeases)} />
        <Stat name="Buses" value={formatCount(counts.buses)} />
      </Grid>
      <Tabs
        label="What there was"
        value={tab}
        onChange={setTab}
        tabs={[
          { value: 'nodes', label: `Nodes ${formatCount(counts.nodes)}`, content: <List label="Nodes" columns={NODES} rows={snapshot.nodes} none="No node was registered then" /> },
          { value: 'tools', label: `Tools ${formatCount(counts.tools)}`, content: <List label="Tools" columns={TOOLS} rows={snapshot.tools} none="No tool was offered then" /> },
          { value: 'leases', label: `Leases ${formatCount(counts.activeLeases)}`, content: <List label="Port leases" columns={LEASES} rows={snapshot.leases} none="No lease held then" /> },
          { value: 'buses', label: `Buses ${formatCount(counts.buses)}`, content: <List label="Buses" columns={BUSES} rows={snapshot.buses} none="There was no bus then" /> },
        ]}
      />
    </div>
  );
}

function List<Row extends { id: string }>({ label, columns, rows, none }: { label: string; columns: readonly Column<Row>[]; rows: readonly Row[]; none: string }) {
  return (
    <Card flush>
      <Table label={`${label} as they were`} columns={columns} rows={rows} rowKey={(row) => row.id} height="max(320px, calc(100dvh - 420px))" empty={<EmptyState title={none}>Choose a later moment.</EmptyState>} />
    </Card>
  );
}

const NODES: Column<SnapshotNode>[] = [
  { key: 'name', title: 'Name', width: 'minmax(160px, 2fr)', cell: (node) => <NodeLink id={node.id} name={node.name} />, sortBy: (node) => node.name },
  { key: 'status', title: 'Status', width: '110px', cell: (node) => <NodeStatusOf status={node.status} />, sortBy: (node) => node.status },
  { key: 'kind', title: 'Kind', width: '110px', hideBelow: 2, cell: (node) => titled(node.kind), sortBy: (node) => node.kind },
  { key: 'version', title: 'Version', width: '90px', hideBelow: 2, cell: (node) => node.version ?? <Nothing />, sortBy: (node) => node.version },
  { key: 'trust', title: 'Trust', width: '104px', hideBelow: 1, cell: (node) => <TrustOf state={node.trust.state} />, sortBy: (node) => node.trust.state },
];
const TOOLS: Column<SnapshotTool>[] = [
  { key: 'name', title: 'Name', width: 'minmax(140px, 1fr)', cell: (tool) => <ToolLink name={tool.name} version={tool.version} />, sortBy: (tool) => tool.name },
  { key: 'version', title: 'Version', width: '90px', cell: (tool) => tool.version, sortBy: (tool) => tool.version },
  { key: 'providers', title: 'Offered by', width: 'minmax(120px, 1fr)', hideBelow: 2, cell: (tool) => tool.providers.map((provider) => provider.node.name).join(', '), sortBy: (tool) => tool.providers.length },
];
const LEASES: Column<SnapshotLease>[] = [
  { key: 'port', title: 'Port', width: '80px', cell: (lease) => <Link href={paths.ports({ port: lease.port })}>{lease.port}</Link>, sortBy: (lease) => lease.port },
  { key: 'host', title: 'Host', width: '120px', hideBelow: 2, cell: (lease) => lease.host, sortBy: (lease) => lease.host },
  { key: 'status', title: 'Status', width: '100px', hideBelow: 2, cell: (lease) => <LeaseStatusOf status={lease.status} /> },
  { key: 'purpose', title: 'Purpose', cell: (lease) => lease.purpose ?? <Nothing />, sortBy: (lease) => lease.purpose },
  { key: 'node', title: 'Node', hideBelow: 1, cell: (lease) => (lease.node ? <NodeLink id={lease.node.id} name={lease.node.name} /> : <Nothing />), sortBy: (lease) => lease.node?.name ?? null },
];
const BUSES: Column<SnapshotBus>[] = [
  { key: 'name', title: 'Name', width: 'minmax(120px, 1fr)', cell: (bus) => <BusLink name={bus.name} />, sortBy: (bus) => bus.name },
  { key: 'status', title: 'Status', width: '110px', cell: (bus) => <BusStatusOf status={bus.status} />, sortBy: (bus) => bus.status },
  { key: 'kind', title: 'Kind', width: '110px', cell: (bus) => titled(bus.kind), sortBy: (bus) => bus.kind },
  { key: 'purpose', title: 'Purpose', hideBelow: 2, cell: (bus) => bus.purpose ?? <Nothing /> },
];
