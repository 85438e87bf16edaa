import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const { manyRequest } = await load('data/many.ts');
const { faultFrom, faultOf } = await load('data/errors.ts');
const { backoffMs } = await load('data/follow.ts');

test('a request for many things is of few sizes, and filled up with the last id', () => {
  const { query, variables } = manyRequest(['a', 'b'], (id) => `node(by: {id: ${id}}) { name }`, { fragment: 'fragment F on Node { id }' });
  assert.equal(Object.keys(variables).length, 10);
  assert.deepEqual(Object.values(variables), ['a', ...Array(9).fill('b')]);
  assert.match(query, /n0: node\(by: \{id: \$i0\}\) \{ name \}/);
  assert.match(query, /fragment F on Node/);
  assert.equal(Object.keys(manyRequest(['a'], () => 'x').variables).length, 1);
  assert.equal(Object.keys(manyRequest(Array(51).fill('a'), () => 'x').variables).length, 200);
});

test('an error is a sentence with its code, and says what to do where that is known', () => {
  const fault = faultFrom({ message: 'no port is free', extensions: { code: 'PORT_EXHAUSTED', retryable: false, details: { host: 'h' } } });
  assert.equal(fault.message, 'No port is free.');
  assert.equal(fault.code, 'PORT_EXHAUSTED');
  assert.match(fault.hint, /Release leases/);
  assert.deepEqual(fault.details, { host: 'h' });
  assert.equal(faultFrom({ message: 'Why?' }).message, 'Why?');
});

test('what never reached the registry is told apart from what it refused', () => {
  assert.equal(faultOf({ graphQLErrors: [], response: undefined }).code, 'UNREACHABLE');
  assert.equal(faultOf({ graphQLErrors: [], response: { status: 401 } }).code, 'UNAUTHENTICATED');
  assert.match(faultOf({ graphQLErrors: [], response: { status: 502 } }).message, /502/);
});

test('waiting for a lost connection grows, and not without end', () => {
  const waits = Array.from({ length: 40 }, (_, attempt) => backoffMs(attempt, 0.5));
  assert.ok(waits.every((wait, index) => index === 0 || wait >= waits[index - 1]));
  assert.ok(waits[0] <= 1_000 && waits.at(-1) <= 60_000, waits.join());
  assert.ok(backoffMs(3, 0) < backoffMs(3, 1), 'chance spreads those who come back together');
});
