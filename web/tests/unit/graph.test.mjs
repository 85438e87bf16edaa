import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const { found, modelOf, neighbourhood } = await load('pages/graph/model.ts');
const { components, layoutOf } = await load('pages/graph/layout.ts');
const { NODE_HEIGHT, NODE_WIDTH } = await load('pages/graph/shape.ts');
const { crossings, orderLayers } = await load('pages/graph/order.ts');
const { settle } = await load('pages/graph/placement.ts');
const camera = await load('pages/graph/camera.ts');
const { step } = await load('pages/graph/steps.ts');

const answer = (names, edges, cycles = []) => ({
  nodes: names.map((name) => ({ id: name, name, missing: false, depth: 0, node: null })),
  edges: edges.map(([from, to, kind = 'TOPIC', origin = 'DECLARED']) => ({ from, to, kind, via: `${from}.v1`, origin })),
  cycles,
});
const inputOf = (ids, pairs) => ({ ids, links: pairs.map(([from, to]) => ({ key: `${from}>${to}`, from, to })) });

test('edges between the same two nodes are one link with its reasons; hidden kinds are none', () => {
  const graph = answer(['a', 'b', 'c'], [['a', 'b'], ['a', 'b', 'TOOL', 'BOTH'], ['b', 'c', 'TOPIC', 'OBSERVED']]);
  const model = modelOf(graph);
  assert.deepEqual(model.links.map(({ key, kinds }) => [key, kinds]), [['a>b', ['TOOL', 'TOPIC']], ['b>c', ['SEEN']]]);
  assert.deepEqual(model.links[0].reasons.map(({ seen }) => seen), [false, true]);
  const hidden = modelOf(graph, new Set(['SEEN']));
  assert.deepEqual([hidden.links.length, hidden.alone], [1, ['c']]);
  assert.deepEqual([...neighbourhood(model, 'b')].sort(), ['a', 'b', 'c']);
  assert.deepEqual(found(modelOf(answer(['order_desk', 'desk', 'order'], [])), 'DESK or'), ['order_desk']);
});

test('links within a cycle are marked, links out of it are not', () => {
  const { links } = modelOf(answer(['a', 'b', 'c'], [['a', 'b'], ['b', 'a'], ['b', 'c']], [['a', 'b']]));
  assert.deepEqual(links.map(({ key, cyclic }) => [key, cyclic]), [['a>b', true], ['b>a', true], ['b>c', false]]);
});

test('what is connected is a part of its own', () => {
  const parts = components(['a', 'b', 'c', 'd'], inputOf([], [['c', 'a'], ['d', 'd']]).links);
  assert.deepEqual(parts.map((part) => part.ids), [['a', 'c'], ['b'], ['d']]);
});

/** A graph with cycles, loops, long edges and several parts, the same each time. */
function wild(size) {
  let seed = 7;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const ids = Array.from({ length: size }, (_, index) => `n${index}`);
  const pairs = new Map();
  for (let index = 0; index < size * 1.6; index += 1) {
    const from = ids[Math.floor(random() * size * 0.8)];
    const to = ids[Math.floor(random() * size * 0.8)];
    pairs.set(`${from}>${to}`, [from, to]);
  }
  return inputOf(ids, [...pairs.values()]);
}

test('no node lies over another, everything is within the picture, and each line begins and ends at its nodes', () => {
  const input = wild(220);
  const layout = layoutOf(input);
  const places = input.ids.map((id) => layout.places.get(id));
  places.forEach((a, index) => {
    assert.ok(a.x >= NODE_WIDTH / 2 - 1 && a.x <= layout.width - NODE_WIDTH / 2 + 1 && a.y >= NODE_HEIGHT / 2 - 1 && a.y <= layout.height - NODE_HEIGHT / 2 + 1, `${input.ids[index]} is outside`);
    for (const b of places.slice(index + 1)) assert.ok(Math.abs(a.x - b.x) >= NODE_WIDTH - 1 || Math.abs(a.y - b.y) >= NODE_HEIGHT - 1, `${input.ids[index]} lies over another`);
  });
  for (const { key, from, to } of input.links) {
    if (from === to) continue;
    const route = layout.routes.get(key);
    for (const [end, id] of [[route[0], from], [route.at(-1), to]]) {
      const place = layout.places.get(id);
      assert.ok(Math.abs(end.y - place.y) < 1 && Math.abs(Math.abs(end.x - place.x) - NODE_WIDTH / 2) < 1, `${key} does not touch ${id}`);
    }
  }
});

test('the same graph is the same picture, and lines lead to the right where nothing feeds itself', () => {
  const line = inputOf(['a', 'b', 'c', 'd'], [['a', 'b'], ['b', 'c'], ['a', 'c'], ['c', 'd']]);
  const layout = layoutOf(line);
  assert.deepEqual(layoutOf(line), layout);
  const xs = line.ids.map((id) => layout.places.get(id).x);
  assert.deepEqual(xs, xs.toSorted((a, b) => a - b));
  assert.equal(new Set(xs).size, 4);
});

test('a layer is settled in its order, without overlaps, as near to what each wants as can be', () => {
  const slots = [1, 2, 3].map((key) => ({ key: String(key), height: 10, y: 0 }));
  settle(slots, [{ y: 0, weight: 1 }, { y: 0, weight: 1 }, { y: 100, weight: 1 }], 2);
  assert.deepEqual(slots.map(({ y }) => y), [-6, 6, 100]);
});

test('the camera keeps what it zooms at in its place, and shows all of a box', () => {
  const at = { x: 120, y: 80 };
  const before = { x: 10, y: 20, zoom: 0.5 };
  const after = camera.zoomed(before, 2, at);
  assert.deepEqual(camera.toPicture(after, at), camera.toPicture(before, at));
  const fitted = camera.fitted({ left: 0, top: 0, right: 4_000, bottom: 1_000 }, 800, 600);
  const corners = [{ x: 0, y: 0 }, { x: 4_000, y: 1_000 }].map((corner) => camera.toScreen(fitted, corner));
  assert.ok(corners.every(({ x, y }) => x >= 39 && x <= 761 && y >= 39 && y <= 561), JSON.stringify(corners));
});

test('arrow keys lead along the links, and up and down within a layer', () => {
  const model = modelOf(answer(['a', 'b', 'c'], [['a', 'b'], ['a', 'c']]));
  const layout = layoutOf(inputOf(['a', 'b', 'c'], [['a', 'b'], ['a', 'c']]));
  const first = step('ArrowRight', model, layout, 'a');
  assert.ok(['b', 'c'].includes(first));
  assert.equal(step('ArrowLeft', model, layout, first), 'a');
  const [upper, lower] = ['b', 'c'].sort((one, other) => layout.places.get(one).y - layout.places.get(other).y);
  assert.equal(step('ArrowDown', model, layout, upper), lower);
  assert.equal(step('ArrowUp', model, layout, upper), null);
  assert.equal(step('x', model, layout, 'a'), null);
});

test('an order within layers is found in which nothing crosses, where there is one', () => {
  const edges = [['a1', 'b3'], ['a2', 'b2'], ['a3', 'b1'], ['b1', 'c1'], ['b2', 'c2'], ['b3', 'c3']].map(([v, w]) => ({ v, w }));
  const labels = new Map(['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'c1', 'c2', 'c3'].map((id) => [id, { rank: 'abc'.indexOf(id[0]) }]));
  orderLayers({ nodes: () => [...labels.keys()], node: (id) => labels.get(id), edges: () => edges });
  for (const layer of ['a', 'b', 'c']) assert.deepEqual([...labels].filter(([id]) => id.startsWith(layer)).map(([, { order }]) => order).sort(), [0, 1, 2]);
  for (const one of edges) {
    for (const other of edges) {
      if (one.v[0] !== other.v[0]) continue;
      const [from, to] = [labels.get(one.v).order - labels.get(other.v).order, labels.get(one.w).order - labels.get(other.w).order];
      assert.ok(from * to >= 0, `${one.v}>${one.w} crosses ${other.v}>${other.w}`);
    }
  }
});

test('crossings are counted by pairs of edges', () => {
  // Two layers of three; every node of the first leads to every one of the second: 9 pairs cross.
  assert.equal(crossings([[0, 1, 2], [3, 4, 5]], [[], [], [], [0, 1, 2], [0, 1, 2], [0, 1, 2]], [0, 1, 2, 0, 1, 2]), 9);
  assert.equal(crossings([[0, 1], [2, 3]], [[], [], [1], [0]], [0, 1, 0, 1]), 1);
  assert.equal(crossings([[0, 1], [2, 3]], [[], [], [0], [1]], [0, 1, 0, 1]), 0);
});
