import { useMemo } from 'react';
import { about } from '~/data/about';
import { useLiveQuery } from '~/data/useLiveQuery';
import type { EdgeKind, EdgeOrigin, GraphDirection } from '~/gql/enums';
import { EDGE_KINDS, linkKind, type LinkKind } from './looks';
import { modelOf, type GraphModel } from './model';
import { GraphPictureDocument, ImpactDocument } from './queries';

export const GRAPH_ADDRESS = {
  /** The node to look around, by id or name; the whole graph when empty. */
  focus: '',
  depth: '2',
  direction: 'both',
  /** The node that is chosen. */
  node: '',
  /** yes: what breaks when the chosen node stops. */
  breaks: '',
  search: '',
  view: 'picture',
  /** Kinds of edges that are left out, with commas. */
  hide: '',
  /** yes: nodes without edges too. */
  alone: '',
} as const satisfies Record<string, string>;
export type GraphAddress = Record<keyof typeof GRAPH_ADDRESS, string>;

const DIRECTIONS: Record<string, GraphDirection> = { upstream: 'UPSTREAM', downstream: 'DOWNSTREAM' };
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const DEPENDS_ON = [...about.nodes, ...about.contracts, ...about.tools] as const;

export function useGraph(address: GraphAddress) {
  const { focus, depth, direction, hide } = address;
  const answer = useLiveQuery({
    query: GraphPictureDocument,
    variables: focus
      ? { root: UUID.test(focus) ? { id: focus } : { name: focus }, direction: DIRECTIONS[direction] ?? 'BOTH', depth: depth === 'all' ? null : Math.max(0, Number(depth) || 0) }
      : { root: null, direction: 'BOTH' as const, depth: null },
    dependsOn: DEPENDS_ON,
  });
  const hidden = useMemo(() => new Set(EDGE_KINDS.filter((kind) => hide.split(',').includes(kind))), [hide]);
  const graph = answer.data?.dependencyGraph;
  const model = useMemo(() => (graph ? modelOf(graph, hidden) : null), [graph, hidden]);
  const counts = useMemo(() => countsOf(graph?.edges ?? []), [graph]);
  const focusId = useMemo(() => focusIn(model, focus), [model, focus]);
  return { ...answer, model, hidden, counts, focusId };
}

function focusIn(model: GraphModel | null, focus: string): string | null {
  if (!model || !focus) return null;
  if (model.items.has(focus)) return focus;
  for (const item of model.items.values()) if (item.name === focus) return item.id;
  return null;
}

function countsOf(edges: readonly { kind: EdgeKind; origin: EdgeOrigin }[]): Record<LinkKind, number> {
  const counts: Record<LinkKind, number> = { TOPIC: 0, DEPENDENCY: 0, TOOL: 0, AGENT: 0, SEEN: 0 };
  for (const edge of edges) counts[linkKind(edge)] += 1;
  return counts;
}

export interface Affected {
  id: string;
  name: string;
  depth: number;
}

/** What may break when a node stops, nearest first, the node itself aside. */
export function useImpact(id: string | null) {
  const { data, fault, loading } = useLiveQuery({ query: ImpactDocument, variables: { root: { id: id ?? '' } }, dependsOn: DEPENDS_ON, pause: id === null });
  const affected = useMemo<readonly Affected[] | null>(() => (id === null ? null : (data?.dependencyGraph.nodes.filter((node) => node.id !== id) ?? null)), [data, id]);
  return { affected, fault, loading };
}
