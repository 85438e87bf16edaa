import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const band = await load('pages/ports/band.ts');
const { NO_WISH, countOf, requestsOf } = await load('pages/ports/allocation.ts');

test('every number of a band has one place in the picture, and is found there again', () => {
  for (const [from, to, width] of [[20_000, 29_999, 732], [20_000, 29_999, 324], [1, 65_535, 324], [5, 5, 300], [20_007, 20_033, 500]]) {
    const layout = band.layOut(from, to, width, 340);
    assert.ok(layout.columns * layout.pitch <= width + 0.001, `${from}–${to} fits ${width}`);
    for (const number of [from, Math.floor((from + to) / 2), to]) {
      const { x, y } = band.placeOf(layout, number);
      assert.equal(band.numberAt(layout, from, to, x + layout.pitch / 2, y + layout.pitch / 2), number);
    }
  }
});

test('beside the band there is no number', () => {
  const layout = band.layOut(20_007, 20_033, 500, 340);
  assert.equal(band.numberAt(layout, 20_007, 20_033, 1, 1), null, 'the first row begins later');
  assert.equal(band.numberAt(layout, 20_007, 20_033, -1, 1), null);
  assert.equal(band.numberAt(layout, 20_007, 20_033, 1, 10_000), null);
});

test('keys lead through the band and not out of it', () => {
  const at = (key, number) => band.moveBy(key, number, 100, 20_000, 20_999);
  assert.deepEqual([at('ArrowRight', 20_999), at('ArrowLeft', 20_500), at('ArrowDown', 20_950), at('PageUp', 20_100), at('Home', 20_500), at('x', 20_500)], [20_999, 20_499, 20_999, 20_000, 20_000, null]);
  assert.equal(band.nextUsed([3, 5, 9], 5, true), 9);
  assert.equal(band.nextUsed([3, 5, 9], 5, false), 3);
  assert.equal(band.nextUsed([3, 5, 9], 9, true), null);
});

test('a wish becomes one request for each port, and says nothing that was not asked for', () => {
  assert.deepEqual(requestsOf(NO_WISH, 'me'), [{ requesterId: 'me', protocol: 'TCP', program: 'dashboard' }]);
  const three = requestsOf({ ...NO_WISH, count: '3', number: '20010', insist: true, key: 'web', ttlSeconds: '600' }, 'me');
  assert.deepEqual(three.map(({ key, preferredPort, from, to, ttlSeconds }) => [key, preferredPort, from, to, ttlSeconds]), [
    ['web:1', 20_010, 20_010, 20_012, 600],
    ['web:2', undefined, 20_010, 20_012, 600],
    ['web:3', undefined, 20_010, 20_012, 600],
  ]);
  assert.deepEqual(['', '0', '-4', '1000', 'many'].map((count) => countOf({ ...NO_WISH, count })), [1, 1, 1, 100, 1]);
});
