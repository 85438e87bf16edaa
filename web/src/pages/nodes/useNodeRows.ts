import { stringifyDocument } from '@urql/core';
import { useCallback, useEffect, useRef, useState } from 'react';
import { about } from '~/data/about';
import { faultOf, type Fault } from '~/data/errors';
import { useChanges, useConnection } from '~/data/hooks';
import { manyRequest, TOGETHER_MAX } from '~/data/many';
import { Refetcher } from '~/data/refetch';
import type { NodeRowFragment as NodeRow } from '~/gql/graphql';
import { NodeRowFragment, NodeRowsDocument } from './queries';

export type { NodeRow };

export interface NodeRows {
  rows: readonly NodeRow[];
  /** Every page has come; before that there are rows as far as they have. */
  complete: boolean;
  fault: Fault | null;
  reload: () => void;
}

/** Above so many changed nodes at once, all of them are asked for anew. */
const PATCH_MAX = 1_000;
const DEPENDS_ON = [...about.nodes, ...about.calls] as const;

/**
 * Every node, so that sorting and filtering answer at once, kept right by asking only for those that changed.
 */
export function useNodeRows(): NodeRows {
  const { uncached } = useConnection();
  const [state, setState] = useState<{ rows: readonly NodeRow[]; complete: boolean; fault: Fault | null }>({ rows: [], complete: false, fault: null });
  const byId = useRef(new Map<string, NodeRow>());
  const changed = useRef(new Set<string>());
  const all = useRef(true);
  const refetcher = useRef<Refetcher | null>(null);

  useEffect(() => {
    let over = false;
    const show = (complete: boolean, fault: Fault | null) => {
      if (!over) setState({ rows: [...byId.current.values()], complete, fault });
    };

    const loadAll = async () => {
      const fresh = new Map<string, NodeRow>();
      let after: string | null = null;
      do {
        const { data, error }: Awaited<ReturnType<typeof page>> = await page(after);
        if (over) return;
        if (!data) {
          show(false, error ? faultOf(error) : null);
          return;
        }
        for (const node of data.nodes.nodes) fresh.set(node.id, node);
        after = data.nodes.pageInfo.hasNextPage ? data.nodes.pageInfo.endCursor : null;
        // The first pages show at once; a reload swaps in when it is whole.
        if (byId.current.size <= fresh.size) {
          byId.current = new Map(fresh);
          show(after === null, null);
        }
      } while (after !== null);
      byId.current = fresh;
      show(true, null);
    };
    const page = (after: string | null) => uncached.query(NodeRowsDocument, { after }).toPromise();

    const patch = async (ids: readonly string[]) => {
      for (let from = 0; from < ids.length; from += TOGETHER_MAX) {
        const part = ids.slice(from, from + TOGETHER_MAX);
        const { query, variables } = manyRequest(part, (id) => `node(by: {id: ${id}}) { ...NodeRow }`, FRAGMENT);
        const { data, error } = await uncached.query<Record<string, NodeRow | null>>(query, variables).toPromise();
        if (over) return;
        if (!data) {
          show(true, error ? faultOf(error) : null);
          return;
        }
        part.forEach((id, index) => {
          const row = data[`n${index}`];
          if (row) byId.current.set(id, row);
          else byId.current.delete(id);
        });
      }
      show(true, null);
    };

    const made = new Refetcher(() => {
      const ids = [...changed.current];
      changed.current.clear();
      const whole = all.current || ids.length > PATCH_MAX;
      all.current = false;
      void (whole ? loadAll() : patch(ids)).finally(() => made.settled());
    });
    refetcher.current = made;
    all.current = true;
    made.request();
    return () => {
      over = true;
      made.dispose();
    };
  }, [uncached]);

  const reload = useCallback(() => {
    all.current = true;
    refetcher.current?.request();
  }, []);

  useChanges(DEPENDS_ON, (batch) => {
    if (batch === null) all.current = true;
    for (const change of batch ?? []) if (change.nodeId) changed.current.add(change.nodeId);
    if (all.current || changed.current.size > 0) refetcher.current?.request();
  });

  return { ...state, reload };
}

const FRAGMENT = stringifyDocument(NodeRowFragment);
