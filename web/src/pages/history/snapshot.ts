import type { Client } from '@urql/core';
import type { SnapshotQuery, SnapshotQueryVariables } from '~/gql/graphql';
import { SnapshotDocument } from './queries';

type View = SnapshotQuery['at'];
export type SnapshotNode = NonNullable<View['nodes']>['nodes'][number];
export type SnapshotTool = NonNullable<View['tools']>['nodes'][number];
export type SnapshotLease = NonNullable<View['ports']>['nodes'][number];
export type SnapshotBus = NonNullable<View['buses']>['nodes'][number];

/** The whole registry at a place in the log. */
export interface Snapshot {
  sequence: number;
  time: string;
  counts: View['registry']['counts'];
  nodes: readonly SnapshotNode[];
  tools: readonly SnapshotTool[];
  leases: readonly SnapshotLease[];
  buses: readonly SnapshotBus[];
}

/** A place in the log, or an instant: what the address says under `at` and `from`. */
export type Moment = { sequence: number } | { time: string };

export function momentOf(text: string): Moment | null {
  if (/^\d+$/.test(text)) return { sequence: Number(text) };
  return text !== '' && !Number.isNaN(Date.parse(text)) ? { time: text } : null;
}

/** Pages of every list, until each has come. The first answer fixes the place, so that all pages are of one state. */
export async function loadSnapshot(client: Client, moment: Moment, signal: AbortSignal): Promise<Snapshot> {
  const nodes: SnapshotNode[] = [];
  const tools: SnapshotTool[] = [];
  const leases: SnapshotLease[] = [];
  const buses: SnapshotBus[] = [];
  let variables: SnapshotQueryVariables = { ...moment, moreNodes: true, moreTools: true, moreLeases: true, moreBuses: true };
  for (;;) {
    const { data, error } = await client.query(SnapshotDocument, variables).toPromise();
    if (!data) throw error ?? new Error('no answer');
    const { at } = data;
    nodes.push(...(at.nodes?.nodes ?? []));
    tools.push(...(at.tools?.nodes ?? []));
    leases.push(...(at.ports?.nodes ?? []));
    buses.push(...(at.buses?.nodes ?? []));
    const next = nextPages(at);
    if (!next || signal.aborted) return { sequence: at.sequence, time: at.time, counts: at.registry.counts, nodes, tools, leases, buses };
    variables = { sequence: at.sequence, ...next };
  }
}

function nextPages({ nodes, tools, ports, buses }: View): Omit<SnapshotQueryVariables, 'sequence' | 'time'> | null {
  const more = (page: { pageInfo: { hasNextPage: boolean } } | undefined) => page?.pageInfo.hasNextPage ?? false;
  if (![nodes, tools, ports, buses].some(more)) return null;
  return {
    moreNodes: more(nodes), nodesAfter: nodes?.pageInfo.endCursor ?? null,
    moreTools: more(tools), toolsAfter: tools?.pageInfo.endCursor ?? null,
    moreLeases: more(ports), leasesAfter: ports?.pageInfo.endCursor ?? null,
    moreBuses: more(buses), busesAfter: buses?.pageInfo.endCursor ?? null,
  };
}
