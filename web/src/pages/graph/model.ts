import type { EdgeKind, EdgeOrigin, NodeKind, NodeStatus } from '~/gql/enums';
import { groupBy } from '~/lib/groupBy';
import { linkKind, type LinkKind } from './looks';

/** The answer to dependencyGraph, as far as the picture needs it. */
export interface GraphAnswer {
  nodes: readonly {
    id: string;
    name: string;
    missing: boolean;
    depth: number;
    node: { id: string; kind: NodeKind; status: NodeStatus; version: string | null; description: string | null } | null;
  }[];
  edges: readonly { from: string; to: string; kind: EdgeKind; via: string; origin: EdgeOrigin }[];
  cycles: readonly (readonly string[])[];
}

export interface GraphItem {
  id: string;
  name: string;
  missing: boolean;
  /** Steps from the focus. */
  depth: number;
  kind: NodeKind | null;
  status: NodeStatus | null;
  version: string | null;
  description: string | null;
  /** Which cycle it is part of, as a place in `GraphModel.cycles`. */
  cycle: number | null;
}

export interface Reason {
  kind: LinkKind;
  via: string;
  /** It is declared, and was seen to be so. */
  seen: boolean;
}

/** All edges from one node to another: drawn as one line for each kind. */
export interface GraphLink {
  key: string;
  from: string;
  to: string;
  kinds: readonly LinkKind[];
  reasons: readonly Reason[];
  /** Both ends are of one cycle. */
  cyclic: boolean;
}

export interface GraphModel {
  items: ReadonlyMap<string, GraphItem>;
  links: readonly GraphLink[];
  /** Links by the node that they lead to, and by the one that they come from. */
  into: ReadonlyMap<string, readonly GraphLink[]>;
  outOf: ReadonlyMap<string, readonly GraphLink[]>;
  cycles: readonly (readonly string[])[];
  /** Nodes that nothing leads to or from, by name. */
  alone: readonly string[];
}

export function modelOf(answer: GraphAnswer, hidden: ReadonlySet<LinkKind> = new Set()): GraphModel {
  const cycleOf = new Map<string, number>();
  answer.cycles.forEach((cycle, index) => cycle.forEach((id) => cycleOf.set(id, index)));
  const items = new Map<string, GraphItem>();
  for (const { id, name, missing, depth, node } of answer.nodes.toSorted((a, b) => compare(a.name, b.name))) {
    items.set(id, {
      id, name, missing, depth,
      kind: node?.kind ?? null, status: node?.status ?? null, version: node?.version ?? null, description: node?.description ?? null,
      cycle: cycleOf.get(id) ?? null,
    });
  }
  const links = bundled(answer.edges.filter((edge) => !hidden.has(linkKind(edge))), cycleOf);
  const into = groupBy(links, (link) => link.to);
  const outOf = groupBy(links, (link) => link.from);
  const alone = [...items.keys()].filter((id) => !into.has(id) && !outOf.has(id));
  return { items, links, into, outOf, cycles: answer.cycles, alone };
}

function bundled(edges: GraphAnswer['edges'], cycleOf: ReadonlyMap<string, number>): GraphLink[] {
  const byEnds = groupBy(edges, (edge) => `${edge.from}>${edge.to}`);
  return [...byEnds].sort(([a], [b]) => compare(a, b)).flatMap(([key, bundle]) => {
    const [first] = bundle;
    if (!first) return [];
    const cycle = cycleOf.get(first.from);
    return {
      key, from: first.from, to: first.to,
      kinds: [...new Set(bundle.map(linkKind))].sort(compare),
      reasons: bundle.map((edge) => ({ kind: linkKind(edge), via: edge.via, seen: edge.origin === 'BOTH' })),
      cyclic: cycle !== undefined && cycle === cycleOf.get(first.to),
    };
  });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The node with those that feed it and those that it feeds. */
export function neighbourhood(model: GraphModel, id: string): Set<string> {
  const around = new Set([id]);
  for (const link of model.into.get(id) ?? []) around.add(link.from);
  for (const link of model.outOf.get(id) ?? []) around.add(link.to);
  return around;
}

/** Nodes whose names have all of the words, in the order of names. */
export function found(model: GraphModel, search: string): string[] {
  const wanted = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return [];
  return [...model.items.values()].filter(({ name }) => wanted.every((word) => name.toLowerCase().includes(word))).map(({ id }) => id);
}
