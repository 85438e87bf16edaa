// Follows the registry at the given URL with graphql-sse, asks it something, and is refused something.
import assert from 'node:assert';
import { createClient } from 'graphql-sse';

const [url] = process.argv.slice(2);
const client = createClient({ url, retryAttempts: 0 });

const events = client.iterate({ query: 'subscription { registryEvents(after: 0) { sequence } }' });
const first = await events.next();
assert.strictEqual(first.value.data.registryEvents.sequence, 1);
await events.return();

const answers = [];
for await (const answer of client.iterate({ query: '{ __typename }' })) answers.push(answer);
assert.deepStrictEqual(answers, [{ data: { __typename: 'Query' } }]);

const [refused] = [await client.iterate({ query: '{ nobody }' }).next()];
assert.match(refused.value.errors[0].message, /nobody/);

client.dispose();
