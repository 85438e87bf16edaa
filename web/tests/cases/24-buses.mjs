import assert from 'node:assert/strict';
import { publish } from '../support/fill.mjs';
import { becomes } from '../support/look.mjs';

/** A bus of its own, so that what other cases publish is not counted here. */
async function openBus({ base, registry, open }, name, query = '') {
  await registry.run('bus', 'create', name, '--kind', 'local');
  const tab = await open(base);
  await tab.go(`/buses/${name}${query}`);
  await tab.page.getByRole('heading', { level: 1, name }).waitFor();
  return tab;
}

const eventsOf = (page, name) => page.getByRole('table', { name: `Events of ${name}` });

export const cases = {
  'an event is published by the form and comes by in the live view, with all that it says': async (world) => {
    const tab = await openBus(world, 'by_hand');
    const { page } = tab;
    const form = page.getByRole('region', { name: 'Publish', exact: true });
    await form.getByLabel('Event type').fill('order.placed');
    await form.getByLabel('Topic').fill('orders.placed');
    await form.getByLabel('Node').fill('nobody_of_that_name');
    await form.getByLabel('Tags').fill('web, eu');
    await form.getByLabel('Metadata').fill('{"total": 12.5');
    await form.getByRole('button', { name: 'Publish' }).click();
    await form.getByText('No node has this name or id.').waitFor();
    await becomes(() => form.getByLabel('Metadata').getAttribute('aria-invalid'), 'true');

    await form.getByLabel('Node').fill('order_desk');
    await form.getByLabel('Metadata').fill('{"total": 12.5}');
    await page.locator('#publish-nodes option[value="order_desk"]').waitFor({ state: 'attached' });
    await form.getByRole('button', { name: 'Publish' }).click();
    await page.getByText('Published to orders.placed').first().waitFor();
    const row = eventsOf(page, 'by_hand').getByRole('row', { name: /orders\.placed.*order\.placed.*12\.5/ });
    await row.waitFor();
    // What was written stays for the next one.
    await form.getByRole('button', { name: 'Publish' }).click();
    await eventsOf(page, 'by_hand').getByRole('row', { name: /orders\.placed.*order\.placed/ }).nth(1).waitFor();

    await row.first().click();
    const sheet = page.getByRole('dialog', { name: 'order.placed' });
    await sheet.getByText('web, eu').waitFor();
    await sheet.getByRole('link', { name: 'order_desk' }).waitFor();
    await sheet.getByText('12.5').waitFor();
    await page.keyboard.press('Escape');
    await sheet.waitFor({ state: 'detached' });
    await page.getByRole('tab', { name: /Topics/ }).click();
    await page.getByRole('table', { name: 'Topics' }).getByRole('row', { name: /orders\.placed/ }).waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a paused view stands still and says how many came, and goes on with all of them': async (world) => {
    const tab = await openBus(world, 'paused');
    const { page } = tab;
    const send = (number) => publish(world.registry, { bus: 'paused', topic: 'ticks', nodeId: world.filled.publisher, metadata: { number } });
    await page.getByText('Waiting for events that fit').waitFor();
    await send(1);
    const rows = eventsOf(page, 'paused').getByRole('row', { name: /ticks/ });
    await rows.first().waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    for (const number of [2, 3, 4]) await send(number);
    await page.getByText('3 more since it was paused').waitFor();
    assert.equal(await rows.count(), 1);
    await page.getByRole('button', { name: 'Go on' }).click();
    await rows.nth(3).waitFor();
    await becomes(() => rows.first().innerText(), /"number":4/);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'what is kept comes again as far back as is asked, filtered, and a filter is an address': async (world) => {
    const { registry, filled } = world;
    await registry.run('bus', 'create', 'replayed', '--kind', 'local');
    const kinds = ['tea.poured', 'cake.cut'];
    for (let number = 1; number <= 6; number += 1) {
      await publish(registry, { bus: 'replayed', topic: kinds[number % 2], eventType: kinds[number % 2], nodeId: filled.publisher, metadata: { number } });
    }
    const tab = await world.open(world.base);
    const { page } = tab;
    await tab.go('/buses/replayed?replay=0');
    await page.getByText('Waiting for events that fit').waitFor();
    assert.equal(await eventsOf(page, 'replayed').getByRole('row').count(), 1, 'only the head');
    await page.getByLabel('Begin with').selectOption({ label: 'All that is kept, then live' });
    const rows = eventsOf(page, 'replayed').getByRole('row', { name: /#\d/ });
    await rows.nth(5).waitFor();
    await page.getByLabel('Event types').fill('tea.poured');
    await page.getByLabel('Event types').press('Enter');
    await page.waitForFunction(() => document.querySelector('[role=table][aria-label^="Events of"]')?.getAttribute('aria-rowcount') === '4');
    assert.match(page.url(), /type=tea\.poured/);
    assert.equal(await rows.filter({ hasText: 'cake.cut' }).count(), 0);
    await page.reload();
    await becomes(() => rows.count(), 3);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a bus is created, stopped and deleted from its page': async ({ base, registry, open }) => {
    const tab = await open(base);
    const { page } = tab;
    await tab.go('/buses');
    await page.getByRole('button', { name: 'Create a bus' }).click();
    await page.getByLabel('Name').fill('short_lived');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'short_lived' }).waitFor();
    await page.waitForURL(/\/buses\/short_lived$/);
    for (const [open, confirm, after] of [['Stop', 'Stop', 'The bus stands still'], ['Delete', 'Delete', null]]) {
      await page.getByRole('button', { name: open, exact: true }).click();
      await page.getByRole('dialog').getByRole('button', { name: confirm, exact: true }).click();
      if (after) await page.getByText(after).waitFor();
    }
    await page.waitForURL(/\/buses$/);
    assert.equal((await registry.ask('{ bus(by: {name: "short_lived"}) { id } }')).bus, null);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'what a bus has to do is seen live, and who looks is no subscriber': async (world) => {
    const tab = await openBus(world, 'watched', '?tab=topics');
    const { page } = tab;
    await page.getByText('Nothing was published yet').waitFor();
    const overview = await world.open(world.base);
    await overview.go('/');
    await overview.page.getByRole('row', { name: /watched.*Running/ }).waitFor();
    for (let number = 1; number <= 3; number += 1) await publish(world.registry, { bus: 'watched', topic: 'ticks', nodeId: world.filled.publisher, metadata: { number } });
    await page.getByText('3 published').waitFor();
    await page.getByRole('table', { name: 'Topics' }).getByRole('row', { name: /ticks.*3/ }).waitFor();
    await page.getByText('0 listen, 0 delivered').waitFor();
    await overview.page.getByRole('row', { name: /watched.*Running.*3$/s }).waitFor();
    const { bus } = await world.registry.ask('{ bus(by: {name: "watched"}) { metrics { subscriberCount } } }');
    assert.equal(bus.metrics.subscriberCount, 0);
    for (const each of [tab, overview]) {
      assert.deepEqual(each.problems(), []);
      await each.close();
    }
  },

  'a topic is defined with a schema, and what does not fit is marked': async (world) => {
    const tab = await openBus(world, 'checked', '?tab=topics');
    const { page } = tab;
    await page.getByRole('button', { name: 'Define a topic' }).click();
    const dialog = page.getByRole('dialog', { name: 'Define a topic' });
    await dialog.getByLabel('Topic').fill('orders.placed');
    await dialog.getByLabel('JSON Schema').fill('{"properties": ');
    await dialog.getByRole('button', { name: 'Define', exact: true }).click();
    await page.waitForFunction(() => document.querySelector('[role=dialog] textarea')?.getAttribute('aria-invalid') === 'true');
    await dialog.getByLabel('JSON Schema').fill('');
    await dialog.getByRole('button', { name: 'Begin with an example' }).click();
    await dialog.getByLabel('What does not fit').selectOption({ label: 'Is delivered, and marked' });
    await dialog.getByRole('button', { name: 'Define', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('table', { name: 'Topics' }).getByRole('row', { name: /orders\.placed/ }).click();
    await page.getByRole('dialog').getByLabel('Schema', { exact: true }).getByText('"total"').first().waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('tab', { name: 'Events', exact: true }).click();
    const send = (metadata) => publish(world.registry, { bus: 'checked', topic: 'orders.placed', nodeId: world.filled.publisher, metadata });
    await send({ total: 1 });
    await send({ total: 'much' });
    const rows = eventsOf(page, 'checked').getByRole('row', { name: /orders\.placed/ });
    await rows.nth(1).waitFor();
    await becomes(() => rows.nth(1).innerText(), /"total":1/);
    await rows.first().click();
    await page.getByRole('dialog').getByText('It does not fit its topic’s schema').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('tab', { name: 'History' }).click();
    await page.getByRole('list', { name: 'Changes of the bus' }).getByText(/Topic orders\.placed defined/).waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a topic has the schema that a contract gives it, and says whose': async (world) => {
    await world.registry.run('bus', 'create', 'promised', '--kind', 'local', '--contract-schemas');
    const total = { properties: { metadata: { required: ['total'] } } };
    const event_bus = { publish_topics: ['orders.promised'], topic_schemas: { 'orders.promised': total } };
    const contract = { name: 'promiser', node_type: 'effect', node_version: '1.0.0', contract_version: '1.0.0', event_bus };
    await world.registry.register({ contract: JSON.stringify(contract), declareOnly: true });
    const tab = await world.open(world.base);
    const { page } = tab;
    await tab.go('/buses/promised');
    await page.getByText('Waiting for events that fit').waitFor();
    const send = (metadata) => publish(world.registry, { bus: 'promised', topic: 'orders.promised', nodeId: world.filled.publisher, metadata });
    await send({ number: 1 });
    await eventsOf(page, 'promised').getByRole('row', { name: /orders\.promised/ }).first().click();
    await page.getByRole('dialog').getByText('It does not fit its topic’s schema').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('tab', { name: /Topics/ }).click();
    await page.getByRole('table', { name: 'Topics' }).getByRole('row', { name: /orders\.promised.*contract/ }).click();
    await page.getByRole('dialog').getByText('From the contract of').getByRole('link', { name: 'promiser' }).waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a node’s place on a bus says live who listens there and how much travels': async (world) => {
    await world.registry.run('bus', 'create', 'placed', '--kind', 'local');
    await world.registry.register({ name: 'place_taker', ttlSeconds: 3600, outboundPorts: [{ name: 'out', protocol: 'WEBSOCKET', topic: 'spots', bus: 'placed' }] });
    const tab = await world.open(world.base);
    const { page } = tab;
    await tab.go('/nodes/place_taker');
    const place = page.getByRole('table', { name: 'Places of the node' }).getByRole('row', { name: /spots on placed/ });
    await place.waitFor();
    const cells = place.getByRole('cell');
    const [rate, listen] = [cells.nth((await cells.count()) - 2), cells.last()];
    await becomes(async () => [await rate.innerText(), await listen.innerText()], ['0', '0']);
    world.registry.keep('event-monitor', '--bus', 'placed', '--topic', 'spots');
    await listen.filter({ hasText: /^1$/ }).waitFor();
    for (let number = 0; number < 20; number += 1) await publish(world.registry, { bus: 'placed', topic: 'spots', nodeId: world.filled.publisher, metadata: { number } });
    await rate.filter({ hasText: /[1-9]/ }).waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'events are filtered by who published them, and by how far they are trusted': async (world) => {
    const { registry } = world;
    const tab = await openBus(world, 'sorted_out');
    const { page } = tab;
    const [one, other] = await Promise.all(['north_gate', 'south_gate'].map((name) => registry.register({ name, ttlSeconds: 3600 })));
    for (const node of [one, other, one]) await publish(registry, { bus: 'sorted_out', topic: 'gates', nodeId: node.id, metadata: { gate: node.name } });
    const rows = eventsOf(page, 'sorted_out').getByRole('row', { name: /gates/ });
    await rows.nth(2).waitFor();
    const count = (wanted) => page.waitForFunction((all) => document.querySelector('[role=table][aria-label^="Events of"]')?.getAttribute('aria-rowcount') === all, String(wanted + 1));
    const nodes = page.getByRole('textbox', { name: 'Nodes' });
    await nodes.fill('north_gate');
    await nodes.press('Enter');
    await count(2);
    await nodes.fill('north_gate, west_gate');
    await nodes.press('Enter');
    await page.getByText('No node is called west_gate.').waitFor();
    await count(2);
    await nodes.fill('west_gate');
    await nodes.press('Enter');
    await count(0);
    await nodes.fill('');
    await nodes.press('Enter');
    await count(3);
    await page.getByLabel('Trust', { exact: true }).selectOption('VERIFIED');
    await count(0);
    assert.match(page.url(), /trust=VERIFIED/);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },
};
