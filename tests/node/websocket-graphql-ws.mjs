// The registry over a websocket with graphql-ws: queries, mutations and subscriptions, and what is refused.
// Says each thing that it finds as a line of JSON.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const client = createClient({ url: process.argv[2], webSocketImpl: WebSocket, lazy: false, retryAttempts: 0 });
const say = (what, value) => console.log(JSON.stringify([what, value]));

const once = (query, variables) =>
  new Promise((resolve, reject) => {
    let answer;
    client.subscribe({ query, variables }, { next: (value) => (answer = value), error: reject, complete: () => resolve(answer) });
  });

const register = 'mutation($input: RegisterInput!) { register(input: $input) { created } }';
say('mutation', (await once(register, { input: { name: 'first' } })).data);
say('query', (await once('{ registry { sequence } }')).data);
await once('{ nobody }').catch((errors) => say('refused', errors[0].extensions.code));

const events = client.iterate({ query: 'subscription { registryEvents(after: 0) { sequence type } }' });
const seen = [];
for await (const { data } of events) {
  seen.push(data.registryEvents.sequence);
  if (seen.length === 1) await once(register, { input: { name: 'second' } });
  if (seen.length === 2) break;
}
say('events', seen);
await client.dispose();
