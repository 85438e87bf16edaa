import { Plus } from 'lucide-react';
import { useRef, useState } from 'react';
import { useSearchParams } from 'wouter';
import { Columns, Page } from '~/components/Page';
import { useKeptRows } from '~/data/useKeptRows';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { ErrorState, SkeletonLines } from '~/ui/States';
import { AllocateDialog } from './AllocateDialog';
import type { Wish } from './allocation';
import { LeasesCard } from './LeasesCard';
import { leaseSource, type Lease } from './leaseSource';
import { NumberCard } from './NumberCard';
import { PoolCard } from './PoolCard';
import { poolKey, usePoolNumbers, usePools, type Pool } from './usePools';

/** Which numbers are whose. */
export default function PortsPage() {
  const { data, fault, loading, refresh } = usePools();
  const { rows: leases, complete, fault: leasesFault, reload } = useKeptRows(leaseSource);
  const [parameters, setParameters] = useSearchParams();
  const [asked, setAsked] = useState<Partial<Wish> | null>(null);
  const top = useRef<HTMLDivElement>(null);

  const number = Number.parseInt(parameters.get('port') ?? '', 10) || null;
  const pools = data?.portPools ?? [];
  const pool = chosen(pools, parameters.get('pool'), number, leases);
  const numbers = usePoolNumbers(pool, leases);

  const show = (next: { port?: number | null; pool?: string }) =>
    setParameters(
      (current) => {
        const changed = new URLSearchParams(current);
        for (const [name, value] of Object.entries(next)) {
          if (value === null) changed.delete(name);
          else changed.set(name, String(value));
        }
        return changed;
      },
      { replace: true },
    );
  const open = (lease: Lease) => {
    const home = pools.find((each) => holds(each, lease));
    show({ port: lease.port, ...(home ? { pool: poolKey(home) } : {}) });
    top.current?.scrollIntoView({ block: 'nearest' });
  };

  return (
    <Page
      title="Ports"
      lede="Numbers that are promised to one program each, so that those on one machine do not meet."
      actions={
        <Button variant="primary" icon={<Plus aria-hidden="true" />} onClick={() => setAsked({})}>
          Allocate a port
        </Button>
      }
    >
      {fault && <ErrorState fault={fault} onRetry={refresh} />}
      {loading && <Card title="Numbers"><SkeletonLines count={7} label="Loading the bands" /></Card>}
      {pool && (
        <div ref={top}>
          <Columns
            main={<PoolCard pools={pools} pool={pool} numbers={numbers} selected={number} onPool={(key) => show({ pool: key, port: null })} onSelect={(port) => show({ port })} />}
            side={<NumberCard number={number} pool={pool} numbers={numbers} onAllocate={(port) => setAsked({ number: String(port), insist: true, protocol: pool.transport, host: pool.host })} />}
          />
        </div>
      )}
      <LeasesCard leases={leases} complete={complete} fault={leasesFault} onRetry={reload} onOpen={open} current={leases.find((lease) => lease.port === number && pool && holds(pool, lease))?.id ?? null} />
      {asked && (
        <AllocateDialog
          start={asked}
          onClose={() => setAsked(null)}
          onDone={(port) => {
            setAsked(null);
            show({ port });
          }}
        />
      )}
    </Page>
  );
}

function holds(pool: Pool, lease: Pick<Lease, 'host' | 'port' | 'transports'>): boolean {
  return lease.host === pool.host && lease.transports.includes(pool.transport) && lease.port >= pool.from && lease.port <= pool.to;
}

/** The band that was chosen; else the one that a number is asked of, where it is leased best; else the fullest. */
function chosen(pools: readonly Pool[], key: string | null, number: number | null, leases: readonly Lease[]): Pool | undefined {
  const named = pools.find((pool) => poolKey(pool) === key);
  if (named) return named;
  const lease = number === null ? undefined : leases.find((each) => each.port === number);
  const around = lease ? pools.find((pool) => holds(pool, lease)) : pools.find((pool) => number !== null && number >= pool.from && number <= pool.to);
  return around ?? pools.reduce<Pool | undefined>((fullest, pool) => (fullest === undefined || pool.allocated > fullest.allocated ? pool : fullest), undefined);
}
