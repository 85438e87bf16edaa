import assert from 'node:assert/strict';
import { publish } from '../support/fill.mjs';
import { until } from '../support/registry.mjs';

/** Whatever a test sees has come without the page being loaded again. */
async function withoutReload(tab, run) {
  await tab.page.evaluate(() => (window.notReloaded = true));
  await run();
  assert.equal(await tab.page.evaluate(() => window.notReloaded), true, 'the page was loaded again');
  assert.deepEqual(tab.problems(), []);
  await tab.close();
}

export const cases = {
  'a node that registers, lapses and leaves shows on the overview and in the table, live': async ({ base, registry, open }) => {
    const overview = await open(base);
    const nodes = await open(base);
    await overview.go('/');
    await nodes.go('/nodes?search=newcomer');
    await nodes.page.getByText('No node fits these filters').waitFor();
    await overview.page.getByRole('list', { name: 'Latest changes' }).waitFor();
    const node = await registry.register({ name: 'newcomer', kind: 'SERVICE', ttlSeconds: 1 });
    await withoutReload(overview, () => overview.page.getByText('newcomer registered').first().waitFor());
    await withoutReload(nodes, async () => {
      const row = nodes.page.getByRole('row', { name: /newcomer/ });
      await row.waitFor();
      await row.getByText('Offline').waitFor();
      await registry.ask('mutation ($id: UUID!) { deregister(input: {nodeId: $id}) { id } }', { id: node.id });
      await row.waitFor({ state: 'detached' });
    });
  },

  'calls and changes count on the overview, live': async ({ base, registry, open }) => {
    const tab = await open(base);
    await tab.go('/');
    await tab.page.getByRole('table', { name: 'Latest calls of tools' }).waitFor();
    await registry.run('proxy-invoke', '--tool', 'shout', '--arg', 'text=live');
    await withoutReload(tab, async () => {
      await tab.page.getByText('answered by').first().waitFor();
      await tab.page.getByRole('row', { name: /shout.*Succeeded/ }).first().waitFor();
    });
  },

  'a port lease shows on the overview, and goes, live': async ({ base, registry, open }) => {
    const tab = await open(base);
    await tab.go('/');
    const { activeLeases } = (await registry.ask('{ registry { counts { activeLeases } } }')).registry.counts;
    await tab.page.getByText(`${activeLeases} leases held`).waitFor();
    const out = await registry.run('port', 'allocate', '--key', 'live', '--format', 'json');
    const lease = JSON.parse(out);
    await withoutReload(tab, async () => {
      await tab.page.getByText(`${activeLeases + 1} leases held`).waitFor();
      await registry.run('port', 'release', String(lease.id ?? lease[0].id));
      await tab.page.getByText(`${activeLeases} leases held`).waitFor();
    });
  },

  'events of a bus show as they are published, live': async ({ base, registry, filled, open }) => {
    const tab = await open(base);
    await tab.go('/buses/shop');
    await tab.page.getByRole('table', { name: /Events/ }).waitFor();
    await withoutReload(tab, async () => {
      await until('the event', async () => {
        await publish(registry, { topic: 'orders.cancelled', nodeId: filled.publisher, metadata: { order: 99 } });
        return tab.page.getByText('orders.cancelled').first().isVisible();
      });
    });
  },

  'search finds a node by the keyboard alone': async ({ base, open }) => {
    const tab = await open(base);
    await tab.go('/');
    await tab.page.getByRole('heading', { name: 'Overview' }).waitFor();
    await tab.page.keyboard.press('Control+k');
    await tab.page.keyboard.type('order_desk');
    await tab.page.getByRole('option', { name: /order_desk/ }).waitFor();
    await tab.page.keyboard.press('Enter');
    await tab.page.getByRole('heading', { level: 1, name: 'order_desk' }).waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'the theme that is chosen stays, over a reload': async ({ base, open }) => {
    const tab = await open(base);
    await tab.go('/');
    const ground = () => tab.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await ground();
    await tab.page.getByRole('radio', { name: 'Dark' }).first().click();
    const dark = await ground();
    assert.notEqual(dark, light);
    await tab.page.reload();
    assert.equal(await ground(), dark);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },
};
