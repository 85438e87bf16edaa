/** As much of dagre's graph as is needed while it asks for the order within layers. */
export interface LayeredGraph {
  nodes: () => readonly string[];
  node: (id: string) => { rank?: number; order?: number };
  edges: () => readonly { v: string; w: string }[];
}

/** So many sweeps in a row may bring nothing better. */
const PATIENCE = 4;
const SWEEPS_MAX = 32;

/**
 * An order within each layer in which few edges cross: by the mean place of the neighbours, to and fro, as dagre's own.
 * On plain numbers, which takes a third of the time.
 */
export function orderLayers(graph: LayeredGraph) {
  const ids = graph.nodes();
  const indexOf = new Map(ids.map((id, index) => [id, index]));
  const into: number[][] = ids.map(() => []);
  const outOf: number[][] = ids.map(() => []);
  for (const { v, w } of graph.edges()) {
    const from = indexOf.get(v);
    const to = indexOf.get(w);
    if (from === undefined || to === undefined) continue;
    outOf[from]?.push(to);
    into[to]?.push(from);
  }
  const ranks = ids.map((id) => graph.node(id).rank ?? 0);
  const layers = firstOrder(ranks, outOf);
  const places = new Array<number>(ids.length).fill(0);
  for (const layer of layers) number(layer, places);

  let best = places.slice();
  let least = crossings(layers, into, places);
  let failed = 0;
  for (let sweep = 0; sweep < SWEEPS_MAX && failed < PATIENCE && least > 0; sweep += 1) {
    const upwards = sweep % 2 === 0;
    const turned = sweep % 4 >= 2;
    for (let at = 1; at < layers.length; at += 1) {
      const layer = layers[upwards ? layers.length - 1 - at : at];
      if (layer) sort(layer, upwards ? outOf : into, places, turned);
    }
    const now = crossings(layers, into, places);
    failed = now < least ? 0 : failed + 1;
    if (now <= least) best = places.slice();
    least = Math.min(least, now);
  }
  ids.forEach((id, index) => {
    graph.node(id).order = best[index] ?? 0;
  });
}

/** Each node after those that it is reached by: what belongs together begins together. */
function firstOrder(ranks: readonly number[], outOf: readonly (readonly number[])[]): number[][] {
  const layers: number[][] = [];
  const seen = new Set<number>();
  const starts = ranks.map((_, index) => index).sort((a, b) => (ranks[a] ?? 0) - (ranks[b] ?? 0));
  for (const start of starts) {
    const waiting = [start];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (seen.has(node)) continue;
      seen.add(node);
      (layers[ranks[node] ?? 0] ??= []).push(node);
      waiting.push(...(outOf[node] ?? []).toReversed());
    }
  }
  return Array.from(layers, (layer: number[] | undefined) => layer ?? []);
}

function number(layer: readonly number[], places: number[]) {
  layer.forEach((node, place) => {
    places[node] = place;
  });
}

/** Sorts a layer by where the neighbours are on the side that stands; who has none there keeps the place. */
function sort(layer: number[], neighbours: readonly (readonly number[])[], places: number[], turned: boolean) {
  const pulled: { node: number; mean: number; place: number }[] = [];
  const kept: { node: number; place: number }[] = [];
  layer.forEach((node, place) => {
    const around = neighbours[node] ?? [];
    if (around.length === 0) kept.push({ node, place });
    else pulled.push({ node, place, mean: around.reduce((sum, each) => sum + (places[each] ?? 0), 0) / around.length });
  });
  pulled.sort((a, b) => a.mean - b.mean || (turned ? b.place - a.place : a.place - b.place));
  let next = 0;
  let pull = 0;
  for (let place = 0; place < layer.length; place += 1) {
    const stays = kept[next];
    if (stays && (stays.place <= place || pull >= pulled.length)) {
      layer[place] = stays.node;
      next += 1;
    } else {
      layer[place] = pulled[pull]?.node ?? 0;
      pull += 1;
    }
  }
  number(layer, places);
}

/** How many pairs of edges between neighbouring layers cross. */
export function crossings(layers: readonly (readonly number[])[], into: readonly (readonly number[])[], places: readonly number[]): number {
  let sum = 0;
  layers.forEach((layer, rank) => {
    const before = layers[rank - 1];
    if (!before) return;
    // Counts, in a tree of sums, the edges so far that begin farther along.
    const tree = new Array<number>(before.length + 1).fill(0);
    let count = 0;
    for (const node of layer) {
      const starts = (into[node] ?? []).map((each) => places[each] ?? 0);
      for (const start of starts) {
        let upTo = 0;
        for (let at = start + 1; at > 0; at -= at & -at) upTo += tree[at] ?? 0;
        sum += count - upTo;
      }
      for (const start of starts) {
        for (let at = start + 1; at < tree.length; at += at & -at) tree[at] = (tree[at] ?? 0) + 1;
        count += 1;
      }
    }
  });
  return sum;
}
