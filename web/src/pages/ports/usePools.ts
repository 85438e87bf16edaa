import { useMemo } from 'react';
import { about } from '~/data/about';
import { useLiveQuery } from '~/data/useLiveQuery';
import type { PoolsQuery } from '~/gql/graphql';
import type { Span } from './band';
import type { Lease } from './leaseSource';
import { PoolsDocument } from './queries';

export type Pool = PoolsQuery['portPools'][number];

export type Quarantine = Pool['quarantines'][number];

export const poolKey = (pool: Pick<Pool, 'host' | 'transport' | 'from'>) => `${pool.host} ${pool.transport} ${pool.from}`;

export function usePools() {
  return useLiveQuery({ query: PoolsDocument, variables: {}, dependsOn: about.ports, staleAt: nextReturn });
}

/** When a number that is kept back comes back, which is no change. */
function nextReturn(data: PoolsQuery): string | null {
  const instants = data.portPools.flatMap((pool) => pool.quarantines.map(({ until }) => Date.parse(until)));
  return instants.length > 0 ? new Date(Math.min(...instants)).toISOString() : null;
}

/** What is known of the numbers of a pool. */
export interface PoolNumbers {
  leases: ReadonlyMap<number, Lease>;
  keptBack: ReadonlyMap<number, Quarantine>;
  reserved: readonly Span[];
  /** Those that are leased or kept back, in order. */
  used: readonly number[];
}

export function usePoolNumbers(pool: Pool | undefined, leases: readonly Lease[]): PoolNumbers {
  return useMemo(() => {
    const held = new Map<number, Lease>();
    if (!pool) return { leases: held, keptBack: new Map(), reserved: [], used: [] };
    for (const lease of leases) {
      if (lease.host === pool.host && lease.transports.includes(pool.transport) && lease.port >= pool.from && lease.port <= pool.to) held.set(lease.port, lease);
    }
    const keptBack = new Map(pool.quarantines.filter(({ port }) => !held.has(port)).map((each) => [each.port, each]));
    const used = [...held.keys(), ...keptBack.keys()].sort((a, b) => a - b);
    return { leases: held, keptBack, reserved: pool.reservedRanges, used };
  }, [pool, leases]);
}
