// The registry with urql: everything over one websocket, by graphql-ws. Says each thing that it finds as a line of JSON.
import { Client, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import { map, pipe, subscribe, take } from 'wonka';
import WebSocket from 'ws';

// Not lazy: a lazy graphql-ws closes its socket between operations, and on a busy machine sometimes under one that has
// just begun.
const socket = createClient({ url: process.argv[2], webSocketImpl: WebSocket, retryAttempts: 0, lazy: false });
const forwardSubscription = (request) => ({
  subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? '' }, sink) }),
});
const client = new Client({
  url: process.argv[2].replace('ws', 'http'),
  preferGetMethod: false,
  exchanges: [subscriptionExchange({ enableAllOperations: true, forwardSubscription })],
});
const say = (what, value) => console.log(JSON.stringify([what, value]));

const register = 'mutation($input: RegisterInput!) { register(input: $input) { created } }';
const strip = ({ data, error }) => (error ? error.message : JSON.parse(JSON.stringify(data, (key, value) => (key === '__typename' ? undefined : value))));
say('mutation', strip(await client.mutation(register, { input: { name: 'first' } }).toPromise()));
say('query', strip(await client.query('{ registry { sequence } }', {}).toPromise()));
say('refused', (await client.query('{ nobody }', {}).toPromise()).error.graphQLErrors[0].extensions.code);

const watched = pipe(
  client.subscription('subscription { registryEvents(after: 0) { sequence } }', {}),
  // At its end, urql says the last thing that came once more: an end must not look like an event.
  map(({ data, error, hasNext }) => (error ? error.message : hasNext ? data.registryEvents.sequence : 'ended')),
  take(2),
);
const seen = [];
await new Promise((resolve) => {
  pipe(
    watched,
    subscribe(async (sequence) => {
      seen.push(sequence);
      if (seen.length === 1) await client.mutation(register, { input: { name: 'second' } }).toPromise();
      if (seen.length === 2) resolve();
    }),
  );
});
say('events', seen);
await socket.dispose();
