import { useMemo } from 'react';
import { about } from '~/data/about';
import { useLiveQuery } from '~/data/useLiveQuery';
import type { PoolsQuery } from '~/gql/graphql';
import { quarantined, type EndedLease } from './band';
import type { Lease } from './leaseSource';
import { PoolsDocument } from './queries';

export type Pool = PoolsQuery['portPools'][number];

export const poolKey = (pool: Pick<Pool, 'host' | 'transport' | 'from'>) => `${pool.host} ${pool.transport} ${pool.from}`;

/** How long numbers are kept back after a lease and after a conflict, unless the configuration says otherwise. */
const KEPT_BACK_MS = [5_000, 60_000] as const;

export function usePools() {
  return useLiveQuery({ query: PoolsDocument, variables: {}, dependsOn: about.ports, staleAt: nextReturn });
}

/** When a number that is kept back comes back, which is no change. */
function nextReturn(data: PoolsQuery): string | null {
  if (!data.portPools.some((pool) => pool.quarantined > 0)) return null;
  const now = Date.now();
  const returns = endedOf(data).flatMap(({ endedAt }) => KEPT_BACK_MS.map((ms) => Date.parse(endedAt ?? '') + ms)).filter((instant) => instant > now);
  return returns.length > 0 ? new Date(Math.min(...returns)).toISOString() : null;
}

function endedOf(data: PoolsQuery): EndedLease[] {
  return [...data.released.nodes, ...data.expired.nodes, ...data.rebound.nodes];
}

/** What is known of the numbers of a pool. */
export interface PoolNumbers {
  leases: ReadonlyMap<number, Lease>;
  keptBack: ReadonlyMap<number, EndedLease>;
  /** Those in use, in order. */
  used: readonly number[];
}

export function usePoolNumbers(pool: Pool | undefined, leases: readonly Lease[], data: PoolsQuery | undefined): PoolNumbers {
  return useMemo(() => {
    const held = new Map<number, Lease>();
    if (!pool || !data) return { leases: held, keptBack: new Map(), used: [] };
    const isOfPool = (lease: { host: string; port: number; transports: readonly string[] }) =>
      lease.host === pool.host && lease.transports.includes(pool.transport) && lease.port >= pool.from && lease.port <= pool.to;
    for (const lease of leases) if (isOfPool(lease)) held.set(lease.port, lease);
    const keptBack = quarantined(endedOf(data).filter(isOfPool), (port) => held.has(port), pool.quarantined);
    const used = [...held.keys(), ...keptBack.keys()].sort((a, b) => a - b);
    return { leases: held, keptBack, used };
  }, [pool, leases, data]);
}
