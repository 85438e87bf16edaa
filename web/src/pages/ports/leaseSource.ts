import { stringifyDocument } from '@urql/core';
import { about } from '~/data/about';
import { faultOf } from '~/data/errors';
import { manyRequest } from '~/data/many';
import type { RowsSource } from '~/data/useKeptRows';
import type { LeaseFragment as Lease } from '~/gql/graphql';
import { LeaseFragment, LeasesDocument } from './queries';

export type { Lease };

/** As many as the registry takes in one document, with all that is asked of each. */
const TOGETHER = 50;
const FRAGMENT = stringifyDocument(LeaseFragment);

/** Every lease that holds. */
export const leaseSource: RowsSource<Lease> = {
  dependsOn: about.ports,
  idOf: (lease) => lease.id,
  groupOf: (lease) => lease.id,
  // In a rebind another lease takes the place of the one that is named.
  groupOfChange: ({ type, metadata }) => {
    const leaseId = typeof metadata === 'object' && metadata !== null && 'leaseId' in metadata ? metadata.leaseId : null;
    if (type === 'PORT_CONFLICT' && leaseId === null) return '';
    return type !== 'PORT_REBOUND' && typeof leaseId === 'string' ? leaseId : null;
  },
  page: async (client, after) => {
    const { data, error } = await client.query(LeasesDocument, { after }).toPromise();
    if (!data) return { answer: null, fault: error ? faultOf(error) : null };
    const { hasNextPage, endCursor } = data.ports.pageInfo;
    return { answer: { rows: data.ports.nodes, next: hasNextPage ? endCursor : null }, fault: null };
  },
  again: async (client, ids) => {
    const rows: Lease[] = [];
    for (let from = 0; from < ids.length; from += TOGETHER) {
      const part = ids.slice(from, from + TOGETHER);
      const { query, variables } = manyRequest(part, (id) => `port(leaseId: ${id}) { ...Lease }`, { fragment: FRAGMENT });
      const { data, error } = await client.query<Record<string, Lease | null>>(query, variables).toPromise();
      if (!data) return { answer: null, fault: error ? faultOf(error) : null };
      // An id may have filled the request up.
      part.forEach((_, index) => {
        const lease = data[`n${index}`];
        if (lease?.status === 'ACTIVE') rows.push(lease);
      });
    }
    return { answer: rows, fault: null };
  },
  againMax: 400,
};
