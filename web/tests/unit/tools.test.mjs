import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { parse } from 'graphql';
import { load } from './load.mjs';

const { describeSchema } = await load('pages/tools/schema.ts');
const copy = await load('pages/tools/copyAs.ts');
const { hasForm, prepareSchema } = await load('pages/tools/form/prepare.ts');
const { violationsOf } = await load('pages/tools/form/violations.ts');

const call = (given, options = {}) => ({ tool: 'divide', version: null, arguments: given, options: { ...copy.USUAL, ...options } });

test('a schema is said in words: types, bounds, choices, what has to be given first', () => {
  const said = describeSchema({
    type: 'object',
    required: ['who'],
    properties: {
      note: { type: 'string', maxLength: 80, default: 'none' },
      who: { $ref: '#/$defs/person' },
      tags: { type: 'array', items: { type: 'string' }, uniqueItems: true },
      size: { enum: ['small', 3] },
    },
    $defs: { person: { type: 'object', title: 'Person', properties: { age: { type: 'integer', minimum: 0, maximum: 130 } } } },
  });
  assert.deepEqual(said.members.map(({ name, type, bounds }) => [name, type, bounds]), [
    ['who', 'Person', []],
    ['note', 'text', ['at most 80 characters']],
    ['tags', 'list of text', ['each once']],
    ['size', 'one of', []],
  ]);
  assert.deepEqual(said.members[0].members[0].bounds, ['0 to 130']);
  assert.deepEqual(said.members[3].values, ['small', '3']);
  assert.equal(said.members[1].preset, 'none');
});

test('schemas that contain themselves, refer to nothing or are none end, everywhere', () => {
  const tree = { $ref: '#/$defs/n', $defs: { n: { type: 'object', properties: { kids: { type: 'array', items: { $ref: '#/$defs/n' } } } } } };
  assert.match(JSON.stringify(describeSchema(tree)), /the same again/);
  for (const odd of [true, false, null, 7, 'x', [], {}, { type: ['string', 'null'] }, { $ref: '#' }, { $ref: '#/x/y' }, { $ref: 'http://elsewhere/' }, { items: { $ref: '#' } }, { allOf: [{ $ref: '#' }] }, { anyOf: [true, { $ref: '#' }] }]) {
    describeSchema(odd);
    prepareSchema(odd);
    hasForm(odd);
    violationsOf(odd)({ a: 1 });
  }
});

test('what a form cannot be made of is told from what it can', () => {
  assert.deepEqual([{ type: 'object', properties: {} }, { $ref: '#/$defs/a' }, { additionalProperties: true }].map(hasForm), [true, true, true]);
  assert.deepEqual([null, true, { type: 'array' }, { type: 'object' }].map(hasForm), [false, false, false, false]);
});

test('data within a schema is left as it is while the schema is made ready', () => {
  const prepared = prepareSchema({ type: 'object', title: 'T', properties: { items: { const: { $id: 'data' } }, pair: { prefixItems: [{ type: 'number' }], items: false } } });
  assert.equal(prepared.title, undefined);
  assert.deepEqual(prepared.properties.items.const, { $id: 'data' });
  assert.deepEqual(prepared.properties.pair, { type: 'array', items: [{ type: 'number' }], additionalItems: false });
});

test('what is wrong is said at its place, and of several shapes only the one that is meant', () => {
  const violations = violationsOf({
    type: 'object',
    required: ['a'],
    properties: { a: { type: 'integer', minimum: 1 }, pay: { oneOf: [{ type: 'object', required: ['card'], properties: { card: { type: 'string' } } }, { type: 'string' }] } },
  });
  assert.deepEqual(violations({ a: 2 }), []);
  assert.deepEqual(violations({}), [{ path: ['a'], message: 'This has to be given.' }]);
  assert.deepEqual(violations({ a: 'x' }), [{ path: ['a'], message: 'It has to be a whole number.' }]);
  assert.deepEqual(violations({ a: 1, pay: {} }), [{ path: ['pay', 'card'], message: 'This has to be given.' }]);
});

test('a call is copied as GraphQL that can be parsed, with variables where a name needs them', () => {
  const plain = copy.asGraphQL(call({ a: 6, note: 'it\'s "so"', list: [1, { b: null }] }, { policy: 'ROUND_ROBIN', timeoutMs: 5_000 }));
  assert.match(plain, /policy: ROUND_ROBIN/);
  assert.match(plain, /timeoutMs: 5000/);
  parse(plain);
  const odd = copy.asGraphQL(call({ 'a-b': 1 }));
  parse(odd);
  assert.match(odd, /\$input: ProxyInvokeInput!/);
});

test('a call is copied for a shell, which hands on what was written', () => {
  const given = { text: "it's $HOME; `x`\n\\" };
  // The shell's own words, one a line that ends with a zero byte.
  const wordsOf = (line) => execFileSync('sh', ['-c', `set -- ${line}; printf '%s\\0' "$@"`]).toString().split('\0').slice(0, -1);
  const command = wordsOf(copy.asCommand(call(given, { idempotencyKey: 'a b', timeoutMs: 10 }), 'http://127.0.0.1:9'));
  assert.deepEqual(JSON.parse(command[command.indexOf('--args') + 1]), given);
  assert.equal(command[command.indexOf('--idempotency-key') + 1], 'a b');
  assert.equal(command.at(-1), 'http://127.0.0.1:9');
  const curl = wordsOf(copy.asCurl(call(given), 'http://127.0.0.1:4000/graphql', false));
  assert.deepEqual(JSON.parse(curl.at(-1)).variables.input, { tool: 'divide', arguments: given });
  assert.ok(!copy.asCurl(call(given), 'http://x/', true).includes('Bearer onex'), 'a token is named, not written');
});
