import { existsSync } from 'node:fs';
import { until } from './registry.mjs';

export const LONG_NAME = `a_node_${'whose_name_goes_on_'.repeat(8)}and_on`;

/** Fills a registry with what the views show: contracts, live nodes with tools, calls, port leases, buses with events. */
export async function fill(registry, corpus) {
  const filled = { corpus: existsSync(corpus) };
  if (filled.corpus) await registry.run('register', '--jobs', '1', corpus);
  await registry.register({
    name: 'order_desk',
    kind: 'SERVICE',
    version: '2.1.0',
    description: 'Takes orders in and announces them.',
    tags: ['orders', 'front'],
    ttlSeconds: 3600,
    outboundPorts: [{ name: 'announcements', protocol: 'JETSTREAM', topic: 'orders.paid', bus: 'shop' }],
    inboundPorts: [{ name: 'http', protocol: 'HTTP', port: 8080 }],
  });
  // Longer than there is room for, and without a place to break.
  await registry.register({ name: LONG_NAME, kind: 'OTHER', description: 'long'.repeat(120), tags: ['tag'.repeat(20)], ttlSeconds: 3600 });
  // A name that nobody registered, and two nodes that feed each other, so that there is something to mark.
  for (const [name, reads, publishes, dependency] of [['biller', 'shop.paid.v1', 'shop.billed.v1', 'ledger'], ['dunner', 'shop.billed.v1', 'shop.paid.v1', 'biller']]) {
    const contract = { name, node_type: 'effect', node_version: '1.0.0', contract_version: '1.0.0', event_bus: { subscribe_topics: [reads], publish_topics: [publishes] }, dependencies: [{ name: dependency, type: 'node', module: `shop.nodes.${dependency}` }] };
    await registry.register({ contract: JSON.stringify(contract), declareOnly: true });
  }
  registry.keep('node', 'run', '--name', 'shouter', '--tool', 'shout', '--', 'jq', '.text | ascii_upcase + "!"');
  registry.keep('node', 'run', '--name', 'adder', '--tool', 'add', '--', 'jq', '.a + .b');
  await until('two nodes that listen', async () => {
    const { tools } = await registry.ask('{ tools(filter: {hasProvider: true}) { nodes { name providers { healthy } } } }');
    return ['shout', 'add'].every((name) => tools.nodes.some((tool) => tool.name === name && tool.providers.some((provider) => provider.healthy)));
  });
  const call = (input) => registry.ask('mutation ($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { status } }', { input });
  for (const text of ['one', 'two', 'three']) await call({ tool: 'shout', arguments: { text } });
  await call({ tool: 'add', arguments: { a: {}, b: 1 } });
  for (const key of ['front', 'metrics', 'debug']) await registry.run('port', 'allocate', '--key', key, '--purpose', `the shop's ${key}`);
  await registry.run('bus', 'create', 'shop', '--kind', 'local', '--purpose', 'What is ordered');
  const { nodes } = await registry.ask('{ nodes(first: 1) { nodes { id } } }');
  for (let order = 1; order <= 12; order += 1) await publish(registry, { topic: order % 3 ? 'orders.placed' : 'orders.paid', nodeId: nodes.nodes[0].id, metadata: { order } });
  filled.node = (await registry.ask('{ node(by: {name: "shouter"}) { id } }')).node.id;
  filled.publisher = nodes.nodes[0].id;
  return filled;
}

export function publish(registry, { topic, nodeId, metadata, eventType = 'order.changed', bus = 'shop' }) {
  return registry.ask('mutation ($input: PublishInput!) { publish(input: $input) { sequence } }', { input: { bus, topic, event: { nodeId, eventType, tags: ['web'], metadata } } });
}

/** Registers very many nodes, `prefix_00000` and on, as fast as the registry takes them. */
export async function registerMany(registry, prefix, count) {
  const TOGETHER = 50;
  const WORKERS = 32;
  const indices = Array.from({ length: TOGETHER }, (_, index) => index);
  const variables = indices.map((index) => `$name${index}: String!`).join(', ');
  const fields = indices.map((index) => `n${index}: register(input: {name: $name${index}, kind: $kind, ttlSeconds: 3600, tags: ["many", $tag]}) { changed }`);
  const query = `mutation ($kind: NodeKind!, $tag: String!, ${variables}) { ${fields.join(' ')} }`;
  const kinds = ['SERVICE', 'TOOL', 'EFFECT', 'COMPUTE'];
  let next = 0;
  const work = async () => {
    while (next < count) {
      const from = next;
      next += TOGETHER;
      const names = Object.fromEntries(indices.map((index) => [`name${index}`, `${prefix}_${String(Math.min(count - 1, from + index)).padStart(5, '0')}`]));
      const part = from / TOGETHER;
      await registry.ask(query, { ...names, kind: kinds[part % kinds.length], tag: `part_${part}` });
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
}
