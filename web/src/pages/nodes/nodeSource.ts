import { stringifyDocument } from '@urql/core';
import { about } from '~/data/about';
import { faultOf } from '~/data/errors';
import { manyRequest, TOGETHER_MAX } from '~/data/many';
import type { RowsSource } from '~/data/useKeptRows';
import type { NodeRowFragment as NodeRow } from '~/gql/graphql';
import { NodeRowFragment, NodeRowsDocument } from './queries';

export type { NodeRow };

const FRAGMENT = stringifyDocument(NodeRowFragment);

/** Every node that is known. */
export const nodeSource: RowsSource<NodeRow> = {
  dependsOn: [...about.nodes, ...about.calls],
  idOf: (node) => node.id,
  groupOf: (node) => node.id,
  groupOfChange: ({ nodeId }) => nodeId ?? '',
  page: async (client, after) => {
    const { data, error } = await client.query(NodeRowsDocument, { after }).toPromise();
    if (!data) return { answer: null, fault: error ? faultOf(error) : null };
    const { hasNextPage, endCursor } = data.nodes.pageInfo;
    return { answer: { rows: data.nodes.nodes, next: hasNextPage ? endCursor : null }, fault: null };
  },
  again: async (client, ids) => {
    const rows: NodeRow[] = [];
    for (let from = 0; from < ids.length; from += TOGETHER_MAX) {
      const part = ids.slice(from, from + TOGETHER_MAX);
      const { query, variables } = manyRequest(part, (id) => `node(by: {id: ${id}}) { ...NodeRow }`, { fragment: FRAGMENT });
      const { data, error } = await client.query<Record<string, NodeRow | null>>(query, variables).toPromise();
      if (!data) return { answer: null, fault: error ? faultOf(error) : null };
      // The request may have been filled up with the last id.
      part.forEach((_, index) => {
        const row = data[`n${index}`];
        if (row) rows.push(row);
      });
    }
    return { answer: rows, fault: null };
  },
  againMax: 1_000,
};
