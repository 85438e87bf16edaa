import { Boxes } from 'lucide-react';
import { useMemo } from 'react';
import { useLocation } from 'wouter';
import { NodeLink } from '~/components/Links';
import { Page } from '~/components/Page';
import { NodeStatusOf, TrustOf } from '~/components/StatusOf';
import { useKeptRows } from '~/data/useKeptRows';
import type { NodeKind, NodeStatus, TrustState } from '~/gql/enums';
import { formatCompact, formatCount, plural, titled } from '~/lib/format';
import { paths } from '~/lib/paths';
import { useUrlState } from '~/lib/useUrlState';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { SearchBox, Select, Spacer, Toolbar } from '~/ui/Field';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Table, type Column, type Sort } from '~/ui/Table';
import { Nothing, Time } from '~/ui/Time';
import styles from './NodesPage.module.css';
import { nodeSource, type NodeRow } from './nodeSource';

const STATUSES: readonly NodeStatus[] = ['ONLINE', 'DRAINING', 'OFFLINE', 'DECLARED'];
const KINDS: readonly NodeKind[] = ['TOOL', 'VALIDATOR', 'TEST', 'ADAPTER', 'AGENT', 'COMPUTE', 'EFFECT', 'REDUCER', 'ORCHESTRATOR', 'SERVICE', 'OTHER'];
const TRUST: readonly TrustState[] = ['VERIFIED', 'TRUSTED', 'UNTRUSTED'];

const columns: readonly Column<NodeRow>[] = [
  { key: 'name', title: 'Name', width: 'minmax(170px, 3fr)', cell: (node) => <NodeLink id={node.id} name={node.name} />, sortBy: (node) => node.name },
  { key: 'status', title: 'Status', width: '110px', cell: (node) => <NodeStatusOf status={node.status} />, sortBy: (node) => STATUSES.indexOf(node.status) },
  { key: 'kind', title: 'Kind', width: '108px', hideBelow: 2, cell: (node) => titled(node.kind), sortBy: (node) => node.kind },
  { key: 'version', title: 'Version', width: '84px', hideBelow: 2, cell: (node) => node.version ?? <Nothing />, sortBy: (node) => node.version },
  { key: 'trust', title: 'Trust', width: '92px', hideBelow: 1, cell: (node) => <TrustOf state={node.trust.state} />, sortBy: (node) => TRUST.indexOf(node.trust.state) },
  { key: 'calls', title: 'Calls', width: '74px', align: 'end', hideBelow: 2, cell: (node) => <Calls node={node} />, sortBy: (node) => node.execution.count },
  { key: 'tags', title: 'Tags', width: 'minmax(90px, 1.2fr)', hideBelow: 1, cell: (node) => <Tags tags={node.tags} /> },
  { key: 'seen', title: 'Last seen', width: '92px', hideBelow: 1, align: 'end', cell: (node) => <Seen node={node} />, sortBy: (node) => node.lastSeenAt },
  { key: 'registered', title: 'Registered', width: '92px', hideBelow: 2, align: 'end', cell: (node) => <Time at={node.registeredAt} />, sortBy: (node) => node.registeredAt },
];

export default function NodesPage() {
  const { rows, complete, fault, reload } = useKeptRows(nodeSource);
  const [search, setSearch] = useUrlState('search');
  const [status, setStatus] = useUrlState('status');
  const [kind, setKind] = useUrlState('kind');
  const [trust, setTrust] = useUrlState('trust');
  const [sort, setSort] = useUrlState('sort', 'name');
  const [, navigate] = useLocation();
  const shown = useMemo(() => filtered(rows, { search, status, kind, trust }), [rows, search, status, kind, trust]);
  const clear = () => navigate(paths.nodes());
  const unknown = rows.length === 0 && !complete;

  return (
    <Page title="Nodes" lede="Every program that registered or whose contract is known: what it is, and how it is.">
      {fault && <ErrorState fault={fault} onRetry={reload} />}
      <Toolbar label="Filters">
        <SearchBox value={search} onChange={setSearch} label="Search name, tags, description, id" />
        <Select label="Status" value={status} onChange={setStatus} options={options('Any status', STATUSES)} />
        <Select label="Kind" value={kind} onChange={setKind} options={options('Any kind', KINDS)} />
        <Select label="Trust" value={trust} onChange={setTrust} options={options('Any trust', TRUST)} />
        <Spacer />
        <span className="muted" role="status">
          {unknown ? !fault && 'Loading' : shown.length === rows.length ? plural(rows.length, 'node') : `${formatCount(shown.length)} of ${plural(rows.length, 'node')}`}
          {!complete && rows.length > 0 && ', more on the way'}
        </span>
      </Toolbar>
      {!(unknown && fault) && (
        <Card flush className={styles.card}>
          {unknown ? (
            <SkeletonLines count={12} label="Loading nodes" />
          ) : (
            <Table
              label="Nodes"
              columns={columns}
              rows={shown}
              rowKey={(node) => node.id}
              onOpen={(node) => navigate(paths.node(node.id))}
              sort={parseSort(sort)}
              onSort={(next) => setSort(`${next.descending ? '-' : ''}${next.key}`)}
              height="calc(100dvh - 190px)"
              empty={rows.length === 0 ? <NobodyHere /> : <NothingFits onClear={clear} />}
            />
          )}
        </Card>
      )}
    </Page>
  );
}

function Calls({ node }: { node: NodeRow }) {
  const { count, failureCount } = node.execution;
  if (count === 0) return <span className="muted">0</span>;
  return (
    <span className={failureCount > 0 ? styles.failures : undefined} title={`${plural(count, 'call')}, ${formatCount(failureCount)} failed`}>
      {formatCompact(count)}
    </span>
  );
}

function Tags({ tags }: { tags: readonly string[] }) {
  if (tags.length === 0) return <Nothing />;
  return <span title={tags.join(', ')}>{tags.join(', ')}</span>;
}

/** Heartbeats are no changes, so of a live node the instant would be old; that it is live says more. */
function Seen({ node }: { node: NodeRow }) {
  if (node.status === 'ONLINE' || node.status === 'DRAINING') return <>alive</>;
  return <Time at={node.lastSeenAt} />;
}

function NobodyHere() {
  return (
    <EmptyState icon={<Boxes />} title="No node is registered yet" command="onex register path/to/contracts">
      Register the contract files of a folder; each node that they describe shows here at once.
    </EmptyState>
  );
}

function NothingFits({ onClear }: { onClear: () => void }) {
  return (
    <EmptyState title="No node fits these filters" action={<Button onClick={onClear}>Clear the filters</Button>}>
      Every word of the search has to be in the name, the tags or the description.
    </EmptyState>
  );
}

function options(any: string, values: readonly string[]) {
  return [{ value: '', label: any }, ...values.map((value) => ({ value, label: titled(value) }))];
}

function parseSort(text: string): Sort {
  return text.startsWith('-') ? { key: text.slice(1), descending: true } : { key: text, descending: false };
}

interface Filters {
  search: string;
  status: string;
  kind: string;
  trust: string;
}

function filtered(rows: readonly NodeRow[], filters: Filters): readonly NodeRow[] {
  const wanted = filters.search.toLowerCase().split(/\s+/).filter(Boolean);
  const { status, kind, trust } = filters;
  if (wanted.length === 0 && !status && !kind && !trust) return rows;
  return rows.filter((node) => {
    if ((status && node.status !== status) || (kind && node.kind !== kind) || (trust && node.trust.state !== trust)) return false;
    if (wanted.length === 0) return true;
    const text = `${node.name} ${node.tags.join(' ')} ${node.description ?? ''} ${node.id}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
