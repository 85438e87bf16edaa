import { Graph, layout as arrange } from '@dagrejs/dagre';
import { groupBy } from '~/lib/groupBy';
import { NODE_HEIGHT, NODE_WIDTH, type Layout, type LayoutInput, type Point } from './shape';
import { orderLayers } from './order';
import { place, type Joint, type Slot } from './placement';

const LAYER_GAP = 96;
const NODE_GAP = 10;
/** The room that an edge takes where it passes a layer. */
const PASS_HEIGHT = 6;
const COMPONENT_GAP = 56;
/** How much wider than high the screen is, about. */
const ASPECT = 1.3;
/** How wide shelves may be, by the widest part. */
const SHELVES = [1, 1.3, 1.7, 2.1, 2.6, 3.2];

interface Part {
  places: Map<string, Point>;
  routes: Map<string, Point[]>;
  width: number;
  height: number;
}

/**
 * Layers from left to right, each connected part by itself, the parts beside and below each other.
 *
 * Dagre breaks cycles, finds the layers and leads long edges through them. The order within layers is found quicker than
 * by itself; heights are placed anew, since its own leave a graph of a thousand nodes mostly empty.
 */
export function layoutOf({ ids, links }: LayoutInput): Layout {
  const parts = components(ids, links);
  const connected = parts.filter((part) => part.ids.length > 1).map((part) => layered(part));
  const packed = pack(connected);
  const single = parts.filter((part) => part.ids.length === 1).flatMap((part) => part.ids);
  return single.length === 0 ? packed : below(packed, grid(single, packed.width));
}

export function components(ids: readonly string[], links: LayoutInput['links']): LayoutInput[] {
  const leader = new Map(ids.map((id) => [id, id]));
  const find = (id: string): string => {
    let root = id;
    for (let next = leader.get(root) ?? root; next !== root; next = leader.get(root) ?? root) root = next;
    for (let at = id; at !== root; ) {
      const next = leader.get(at) ?? root;
      leader.set(at, root);
      at = next;
    }
    return root;
  };
  for (const { from, to } of links) leader.set(find(from), find(to));
  const members = groupBy(ids, find);
  const within = groupBy(links, (link) => find(link.from));
  return [...members].map(([root, each]) => ({ ids: each, links: within.get(root) ?? [] }));
}

function layered({ ids, links }: LayoutInput): Part {
  const graph = new Graph();
  graph.setGraph({ rankdir: 'LR', ranksep: LAYER_GAP, nodesep: NODE_GAP, ranker: 'tight-tree' });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of ids) graph.setNode(id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  const between = links.filter((link) => link.from !== link.to);
  for (const link of between) graph.setEdge(link.from, link.to);
  arrange(graph, { customOrder: orderLayers });

  const slots = new Map<string, Slot>();
  const layers = new Map<number, Slot[]>();
  const put = (x: number, slot: Slot) => {
    const layer = layers.get(Math.round(x));
    if (layer) layer.push(slot);
    else layers.set(Math.round(x), [slot]);
  };
  const middles = new Map<string, number>();
  for (const id of ids) {
    const { x, y } = pointOf(graph.node(id));
    const slot = { key: id, height: NODE_HEIGHT, y };
    slots.set(id, slot);
    middles.set(id, Math.round(x));
    put(x, slot);
  }
  const joints: Joint[] = [];
  const passes = new Map<string, { x: number; slot: Slot }[]>();
  for (const link of between) {
    const { points } = graph.edge(link.from, link.to) as { points: Point[] };
    // Dagre bends edges between layers too; only where one passes a layer does it need room.
    const passing = points.slice(1, -1).filter((point) => layers.has(Math.round(point.x)) && isBetween(middles, link, point.x)).map((point) => {
      const slot = { key: link.key, height: PASS_HEIGHT, y: point.y };
      put(point.x, slot);
      return { x: Math.round(point.x), slot };
    });
    passes.set(link.key, passing);
    const chain = [slots.get(link.from), ...passing.map((pass) => pass.slot), slots.get(link.to)].filter((slot) => slot !== undefined);
    const backward = (middles.get(link.from) ?? 0) > (middles.get(link.to) ?? 0);
    chain.forEach((slot, index) => {
      const next = chain[index + 1];
      if (next) joints.push({ left: backward ? next : slot, right: backward ? slot : next, weight: chain.length > 2 ? 2 : 1 });
    });
  }
  const ordered = [...layers].sort(([a], [b]) => a - b).map(([, layer]) => layer.sort((a, b) => a.y - b.y));
  place(ordered, joints, NODE_GAP);
  return finished(ids, links, slots, middles, passes);
}

function isBetween(middles: ReadonlyMap<string, number>, link: { from: string; to: string }, x: number): boolean {
  const ends = [middles.get(link.from) ?? 0, middles.get(link.to) ?? 0];
  return x > Math.min(...ends) + 1 && x < Math.max(...ends) - 1;
}

function finished(
  ids: readonly string[],
  links: LayoutInput['links'],
  slots: ReadonlyMap<string, Slot>,
  middles: ReadonlyMap<string, number>,
  passes: ReadonlyMap<string, { x: number; slot: Slot }[]>,
): Part {
  const all = [...slots.values()];
  const top = all.reduce((least, slot) => Math.min(least, slot.y - slot.height / 2), Infinity);
  const bottom = all.reduce((most, slot) => Math.max(most, slot.y + slot.height / 2), -Infinity);
  const left = Math.min(...ids.map((id) => middles.get(id) ?? 0)) - NODE_WIDTH / 2;
  const right = Math.max(...ids.map((id) => middles.get(id) ?? 0)) + NODE_WIDTH / 2;
  const places = new Map(ids.map((id) => [id, { x: (middles.get(id) ?? 0) - left, y: (slots.get(id)?.y ?? 0) - top }]));
  const routes = new Map<string, Point[]>();
  for (const link of links) {
    const from = places.get(link.from);
    const to = places.get(link.to);
    if (!from || !to || link.from === link.to) continue;
    const side = from.x < to.x ? NODE_WIDTH / 2 : -NODE_WIDTH / 2;
    // Level all through the layer, so that it goes between nodes and not behind them.
    const passing = (passes.get(link.key) ?? []).flatMap(({ x, slot }) => [{ x: x - left - side, y: slot.y - top }, { x: x - left + side, y: slot.y - top }]);
    routes.set(link.key, [{ x: from.x + side, y: from.y }, ...passing, { x: to.x - side, y: to.y }]);
  }
  return { places, routes, width: right - left, height: bottom - top };
}

function pointOf(label: unknown): Point {
  return label as Point;
}

/** Parts on shelves, the highest first; as wide as shows all of them largest. */
function pack(parts: readonly Part[]): Part {
  const sorted = parts.toSorted((a, b) => b.height - a.height);
  const widest = Math.max(0, ...parts.map((part) => part.width));
  const tried = SHELVES.map((factor) => shelved(sorted, widest * factor));
  const size = (part: Part) => Math.max(part.width / ASPECT, part.height);
  return tried.reduce((best, each) => (size(each) < size(best) ? each : best));
}

function shelved(parts: readonly Part[], width: number): Part {
  const whole: Part = { places: new Map(), routes: new Map(), width: 0, height: 0 };
  let x = 0;
  let y = 0;
  let shelf = 0;
  for (const part of parts) {
    if (x > 0 && x + part.width > width) {
      x = 0;
      y += shelf + COMPONENT_GAP;
      shelf = 0;
    }
    add(whole, part, x, y);
    x += part.width + COMPONENT_GAP;
    shelf = Math.max(shelf, part.height);
  }
  return whole;
}

function grid(ids: readonly string[], width: number): Part {
  const step = NODE_WIDTH + 20;
  const columns = Math.max(Math.floor((width + 20) / step), Math.ceil(Math.sqrt(ids.length / 3)));
  const places = new Map(ids.map((id, index) => [id, {
    x: (index % columns) * step + NODE_WIDTH / 2,
    y: Math.floor(index / columns) * (NODE_HEIGHT + NODE_GAP) + NODE_HEIGHT / 2,
  }]));
  const rows = Math.ceil(ids.length / columns);
  return { places, routes: new Map(), width: Math.min(columns, ids.length) * step - 20, height: rows * (NODE_HEIGHT + NODE_GAP) - NODE_GAP };
}

function below(upper: Part, lower: Part): Part {
  const y = upper.height === 0 ? 0 : upper.height + COMPONENT_GAP;
  add(upper, lower, 0, y);
  return upper;
}

function add(whole: Part, part: Part, x: number, y: number) {
  for (const [id, place] of part.places) whole.places.set(id, { x: place.x + x, y: place.y + y });
  for (const [key, route] of part.routes) whole.routes.set(key, route.map((point) => ({ x: point.x + x, y: point.y + y })));
  whole.width = Math.max(whole.width, x + part.width);
  whole.height = Math.max(whole.height, y + part.height);
}
