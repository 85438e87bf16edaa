import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const log = await load('pages/history/window.ts');
const { differences } = await load('pages/history/difference.ts');
const { momentOf } = await load('pages/history/snapshot.ts');
const { instantOf, localOf } = await load('pages/history/InstantInput.tsx');

const change = (sequence, actor = 'a') => ({ sequence, actor, time: new Date(1_000 * sequence).toISOString() });
const page = (from, to, more = {}) => ({
  entries: Array.from({ length: to - from + 1 }, (_, index) => ({ cursor: `c${from + index}`, change: change(from + index) })),
  hasPrevious: false, hasNext: false, start: `c${from}`, end: `c${to}`, ...more,
});
const all = () => true;
const places = (window) => window.entries.map((entry) => entry.change.sequence);

test('pages grow a window at both ends, the latest first, and none is there twice', () => {
  let window = log.withOlder(log.EMPTY, page(11, 20, { hasPrevious: true, hasNext: true }));
  assert.deepEqual(window.older, { cursor: 'c11' });
  window = log.withOlder(window, page(8, 12));
  window = log.withNewer(window, page(19, 22));
  assert.deepEqual(places(window), [22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8]);
  assert.equal(window.older, null);
  assert.equal(window.newer, null);
});

test('what comes live is put on top, once, and only what fits', () => {
  const window = log.withLive(log.withOlder(log.EMPTY, page(1, 3)), [change(3), change(4), change(5, 'b')], (each) => each.actor === 'a');
  assert.deepEqual(places(window), [4, 3, 2, 1]);
  assert.equal(log.withLive(window, [change(2)], all), window, 'nothing new is no other window');
});

test('a window that is cut can go on where it was cut', () => {
  const long = log.withOlder(log.EMPTY, page(1, 40));
  const older = log.trimmed(long, 20, 'older');
  assert.deepEqual([older.entries.length, older.older], [20, { cursor: 'c21' }]);
  const newer = log.trimmed(long, 20, 'newer');
  assert.deepEqual([newer.entries.length, newer.newer], [20, { cursor: 'c20' }]);
  assert.equal(log.trimmed(long, 30, 'older'), long, 'a little too long is left');
});

test('two states differ by what came, went, and says something else', () => {
  const node = (id, version, name = id) => ({ id, name, version, status: 'ONLINE', kind: 'TOOL', versionHash: null, trust: { state: 'TRUSTED' }, host: null, tags: [], description: null });
  const state = (nodes) => ({ nodes, tools: [], leases: [], buses: [] });
  const kept = node('c', '1');
  const found = differences(state([node('a', '1'), node('b', '1'), kept]), state([node('b', '2'), kept, node('d', '1')]));
  assert.deepEqual(found.map(({ id, sort, fields }) => [id, sort, fields]), [
    ['a', 'removed', []],
    ['b', 'changed', [{ field: 'Version', before: '1', after: '2' }]],
    ['d', 'added', []],
  ]);
});

test('a moment is a place or an instant, and nothing else', () => {
  assert.deepEqual(momentOf('42'), { sequence: 42 });
  assert.deepEqual(momentOf('2026-01-02T03:04:05Z'), { time: '2026-01-02T03:04:05Z' });
  assert.deepEqual([momentOf(''), momentOf('soon'), momentOf('-1x')], [null, null, null]);
});

test('an instant is written in the viewer\'s zone and read back to the second', () => {
  for (const instant of ['2026-03-29T01:30:00.000Z', '2026-10-25T01:30:00.000Z', '2026-06-01T12:00:00.000Z']) assert.equal(instantOf(localOf(instant)), instant);
  assert.deepEqual([localOf(''), localOf('nonsense'), instantOf('')], ['', '', '']);
});
