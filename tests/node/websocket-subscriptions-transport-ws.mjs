// The registry by the older protocol, with its own client. Says each thing that it finds as a line of JSON.
import { SubscriptionClient } from 'subscriptions-transport-ws';
import WebSocket from 'ws';

const client = new SubscriptionClient(process.argv[2], { reconnect: false, timeout: 30000 }, WebSocket);
const say = (what, value) => console.log(JSON.stringify([what, value]));

const once = (query, variables) =>
  new Promise((resolve, reject) => {
    let answer;
    client.request({ query, variables }).subscribe({
      next: (value) => (answer = value),
      error: reject,
      complete: () => resolve(answer),
    });
  });

const register = 'mutation($input: RegisterInput!) { register(input: $input) { created } }';
say('mutation', (await once(register, { input: { name: 'first' } })).data);
say('query', (await once('{ registry { sequence } }')).data);
await once('{ nobody }').catch((error) => say('refused', (error[0] ?? error).extensions?.code ?? error.message));

const seen = [];
await new Promise((resolve) => {
  const watching = client.request({ query: 'subscription { registryEvents(after: 0) { sequence } }' }).subscribe({
    next: async ({ data }) => {
      seen.push(data.registryEvents.sequence);
      if (seen.length === 1) await once(register, { input: { name: 'second' } });
      if (seen.length === 2) {
        watching.unsubscribe();
        resolve();
      }
    },
  });
});
say('events', seen);
client.close();
