import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const format = await load('lib/format.ts');
const time = await load('lib/time.ts');
const { paths } = await load('lib/paths.ts');
const { groupBy } = await load('lib/groupBy.ts');

test('durations are said by their two largest units', () => {
  const said = [0.04, 0.84, 9.96, 12.4, 999, 1_400, 9_990, 61_000, 3_600_000, 7_500_000, 90_000_000].map(format.formatDuration);
  assert.deepEqual(said, ['0.0 ms', '0.8 ms', '10 ms', '12 ms', '999 ms', '1.4 s', '10 s', '1 m 1 s', '1 h', '2 h 5 m', '1 d 1 h']);
});

test('a unit in the middle that is zero is not skipped over', () => {
  assert.equal(format.formatSeconds(86_400 + 59), '1 d');
  assert.equal(format.formatSeconds(3_600 + 59), '1 h');
  assert.equal(format.formatSeconds(0), '0 s');
  assert.equal(format.formatSeconds(-3), '0 s');
});

test('counts, rates and bytes have as many digits as say something', () => {
  assert.deepEqual([9_999, 10_000, 1_234_567].map(format.formatCompact), ['9,999', '10K', '1.2M']);
  assert.deepEqual([0, 0.04, 3.14, 42.4].map(format.formatRate), ['0', '0.0', '3.1', '42']);
  assert.deepEqual([0, 999, 1_000, 12_345, 5e12].map(format.formatBytes), ['0 B', '999 B', '1 kB', '12 kB', '5 TB']);
  assert.deepEqual([format.plural(1, 'node'), format.plural(1_200, 'node'), format.plural(2, 'bus', 'buses')], ['1 node', '1,200 nodes', '2 buses']);
  assert.equal(format.titled('TIMED_OUT'), 'Timed out');
});

test('instants are said from now, to both sides', () => {
  const now = Date.parse('2026-01-02T03:04:05Z') / 1_000;
  const from = (seconds) => time.formatRelative(new Date((now + seconds) * 1_000).toISOString(), now);
  assert.deepEqual([0, 1, -1, -2, -90, 7_200, -200_000].map(from), ['now', 'now', 'now', '2 s ago', '1 m ago', 'in 2 h', '2 d 7 h ago']);
});

test('addresses are escaped, and leave out what is not said', () => {
  assert.equal(paths.tool('a/b c', '1.0'), '/tools/a%2Fb%20c?version=1.0');
  assert.equal(paths.bus('x&y', { topic: 'a.>' }), '/buses/x%26y?topic=a.%3E');
  assert.equal(paths.nodes({ status: '', search: undefined }), '/nodes');
});

test('groups keep the order of their things', () => {
  assert.deepEqual([...groupBy([3, 1, 4, 1, 5], (number) => number % 2)], [[1, [3, 1, 1, 5]], [0, [4]]]);
});
