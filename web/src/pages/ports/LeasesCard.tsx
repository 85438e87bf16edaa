import { Cable } from 'lucide-react';
import { useMemo } from 'react';
import { NodeLink } from '~/components/Links';
import { about } from '~/data/about';
import type { Fault } from '~/data/errors';
import { useLiveQuery } from '~/data/useLiveQuery';
import type { LeaseStatus } from '~/gql/enums';
import { formatCount, plural, titled } from '~/lib/format';
import { useUrlState } from '~/lib/useUrlState';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { SearchBox, Select, Toolbar } from '~/ui/Field';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Nothing, Time } from '~/ui/Time';
import { LeaseActions } from './LeaseActions';
import styles from './LeasesCard.module.css';
import { LeaseTimeLeft } from './LeaseTimeLeft';
import type { Lease } from './leaseSource';
import { EndedLeasesDocument } from './queries';

const ENDED: readonly LeaseStatus[] = ['RELEASED', 'EXPIRED', 'REBOUND'];

const common: readonly Column<Lease>[] = [
  { key: 'port', title: 'Port', width: '66px', cell: (lease) => <b>{lease.port}</b>, sortBy: (lease) => lease.port },
  { key: 'protocol', title: 'Protocol', width: '92px', hideBelow: 2, cell: (lease) => lease.protocol, sortBy: (lease) => lease.protocol },
  { key: 'purpose', title: 'Purpose', width: 'minmax(80px, 2fr)', cell: (lease) => (lease.purpose ? <span title={lease.purpose}>{lease.purpose}</span> : <Nothing />), sortBy: (lease) => lease.purpose },
  { key: 'holder', title: 'Holder', width: 'minmax(110px, 1.2fr)', hideBelow: 2, cell: (lease) => <span title={lease.allocatedBy}>{lease.allocatedBy}</span>, sortBy: (lease) => lease.allocatedBy },
  { key: 'node', title: 'Node', width: 'minmax(80px, 1fr)', hideBelow: 1, cell: (lease) => (lease.node ? <NodeLink id={lease.node.id} name={lease.node.name} /> : <Nothing />), sortBy: (lease) => lease.node?.name ?? null },
  { key: 'key', title: 'Key', width: 'minmax(60px, 0.8fr)', hideBelow: 1, cell: (lease) => lease.key ?? <Nothing />, sortBy: (lease) => lease.key },
  { key: 'host', title: 'Host', width: 'minmax(80px, 0.8fr)', hideBelow: 1, cell: (lease) => lease.host, sortBy: (lease) => lease.host },
];

const active: readonly Column<Lease>[] = [
  ...common,
  { key: 'granted', title: 'Granted', width: '96px', align: 'end', hideBelow: 1, cell: (lease) => <Time at={lease.allocatedAt} />, sortBy: (lease) => lease.allocatedAt },
  { key: 'left', title: 'Time left', width: '132px', align: 'end', cell: (lease) => <LeaseTimeLeft lease={lease} />, sortBy: (lease) => lease.graceUntil ?? lease.expiresAt },
  { key: 'actions', title: 'Actions', width: '68px', align: 'end', cell: (lease) => <LeaseActions lease={lease} /> },
];

const past: readonly Column<Lease>[] = [
  ...common,
  { key: 'reason', title: 'Why it ended', width: 'minmax(90px, 1.4fr)', hideBelow: 2, cell: (lease) => (lease.endReason ? <span title={lease.endReason}>{lease.endReason}</span> : <Nothing />) },
  { key: 'ended', title: 'Ended', width: '110px', align: 'end', cell: (lease) => <Time at={lease.endedAt} />, sortBy: (lease) => lease.endedAt },
];

export interface LeasesCardProps {
  leases: readonly Lease[];
  complete: boolean;
  fault: Fault | null;
  onRetry: () => void;
  /** Shows its number in the picture. */
  onOpen: (lease: Lease) => void;
  current: string | null;
}

/** The leases that hold, and those that ended. */
export function LeasesCard({ leases, complete, fault, onRetry, onOpen, current }: LeasesCardProps) {
  const [search, setSearch] = useUrlState('search');
  const [status, setStatus] = useUrlState('status', 'ACTIVE');
  const ended = ENDED.find((each) => each === status);
  const history = useLiveQuery({ query: EndedLeasesDocument, variables: { status: ended ?? 'RELEASED' }, dependsOn: about.ports, pause: !ended });
  const rows = ended ? (history.data?.ports.nodes ?? NO_LEASES) : leases;
  const shown = useMemo(() => searched(rows, search), [rows, search]);
  const problem = ended ? history.fault : fault;
  const unknown = ended ? history.data === undefined : leases.length === 0 && !complete;

  return (
    <Card
      title="Leases"
      note={unknown ? undefined : shown.length === rows.length ? plural(rows.length, 'lease') : `${formatCount(shown.length)} of ${plural(rows.length, 'lease')}`}
      flush
    >
      <div className={styles.filters}>
        <Toolbar label="Filters">
          <SearchBox value={search} onChange={setSearch} label="Search number, purpose, holder, key" />
          <Select label="State" value={status} onChange={setStatus} options={[{ value: 'ACTIVE', label: 'That hold' }, ...ENDED.map((value) => ({ value, label: `${titled(value)}, the latest` }))]} />
        </Toolbar>
      </div>
      {problem && <ErrorState fault={problem} onRetry={ended ? history.refresh : onRetry} />}
      {unknown ? (
        !problem && <SkeletonLines label="Loading leases" />
      ) : (
        <Table
          label="Leases"
          columns={ended ? past : active}
          rows={shown}
          rowKey={(lease) => lease.id}
          onOpen={onOpen}
          current={current}
          sort={ended ? undefined : { key: 'port', descending: false }}
          height={560}
          empty={
            search ? (
              <EmptyState title="No lease fits the search" action={<Button onClick={() => setSearch('')}>Clear the search</Button>} />
            ) : ended ? (
              <EmptyState title={`No lease that was ${titled(ended).toLowerCase()} is remembered`}>Of those that ended, the last 10,000 are.</EmptyState>
            ) : (
              <EmptyState icon={<Cable />} title="No port is leased" command={'onex port exec -- my-server --port {PORT}'}>
                This runs a command with a port that is nobody else’s, and gives it back when the command ends.
              </EmptyState>
            )
          }
        />
      )}
    </Card>
  );
}

const NO_LEASES: readonly Lease[] = [];

function searched(rows: readonly Lease[], search: string): readonly Lease[] {
  const wanted = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return rows;
  return rows.filter((lease) => {
    const text = `${lease.port} ${lease.host} ${lease.protocol} ${lease.purpose ?? ''} ${lease.allocatedBy} ${lease.key ?? ''} ${lease.node?.name ?? ''} ${lease.id}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
