import assert from 'node:assert/strict';
import { SCHEMES, screenshot, SIZES } from '../support/browser.mjs';
import { LONG_NAME } from '../support/fill.mjs';
import { faultsOf, settled } from '../support/look.mjs';

/** Every view by its address, and what shows that it is there. */
const views = ({ node }) => [
  { name: 'overview', path: '/', heading: 'Overview' },
  { name: 'nodes', path: '/nodes', heading: 'Nodes', shows: 'adder' },
  { name: 'node', path: `/nodes/${node}`, heading: 'shouter', shows: 'Identity' },
  { name: 'node-places', path: '/nodes/order_desk', heading: 'order_desk', shows: 'orders.paid' },
  { name: 'node-long', path: `/nodes/${LONG_NAME}`, heading: LONG_NAME, shows: 'Identity' },
  { name: 'node-contract', path: '/nodes/biller?tab=contract', heading: 'biller', shows: 'shop.billed.v1' },
  { name: 'node-calls', path: `/nodes/${node}?tab=calls`, heading: 'shouter', shows: 'Succeeded' },
  { name: 'node-history', path: `/nodes/${node}?tab=history`, heading: 'shouter', shows: 'registered' },
  { name: 'graph', path: '/graph', heading: 'Graph' },
  { name: 'tools', path: '/tools', heading: 'Tools', shows: 'shout' },
  { name: 'tool', path: '/tools/shout', heading: 'shout' },
  { name: 'ports', path: '/ports', heading: 'Ports' },
  { name: 'buses', path: '/buses', heading: 'Buses', shows: 'Published' },
  { name: 'bus', path: '/buses/shop', heading: 'shop', shows: 'orders.placed' },
  { name: 'bus-of-the-registry', path: '/buses/registry', heading: 'registry', shows: 'onex.events.BUS_STARTED' },
  { name: 'bus-topics', path: '/buses/shop?tab=topics', heading: 'shop', shows: 'orders.placed' },
  { name: 'bus-history', path: '/buses/shop?tab=history', heading: 'shop', shows: 'created' },
  { name: 'history', path: '/history', heading: 'History' },
  { name: 'not-found', path: '/no/such/page', heading: 'No such page' },
];

export const cases = {};
for (const size of Object.keys(SIZES)) {
  for (const scheme of SCHEMES) {
    cases[`every view, ${size}, ${scheme}: is there, is accessible, fits, asks nobody else, logs no error`] = async (world, say) => {
      const wrong = [];
      for (const view of views(world.filled)) {
        const tab = await world.open(world.base, { size, scheme });
        try {
          await tab.go(view.path);
          await settled(tab.page, view);
          const faults = await faultsOf(tab.page, world.shots, `${view.name}-${size}-${scheme}`);
          wrong.push(...faults.map((fault) => `${view.path}: ${fault}`));
        } catch (error) {
          wrong.push(`${view.path}: ${error.message.split('\n')[0]}`);
          await screenshot(tab.page, world.shots, `${view.name}-${size}-${scheme}-failed`);
        }
        wrong.push(...tab.problems().map((problem) => `${view.path}: ${problem}`));
        await tab.close();
      }
      if (!world.filled.corpus) say('the corpus is absent: the views were looked at with a few nodes');
      assert.deepEqual(wrong, []);
    };
  }
}

cases['with the corpus, every contract is a row of the nodes, and rows are in the page only in view'] = async (world) => {
  if (!world.filled.corpus) world.skip('the corpus is absent');
  const { nodes } = await world.registry.ask('{ nodes { totalCount } }');
  const tab = await world.open(world.base);
  await tab.go('/nodes');
  const table = tab.page.getByRole('table', { name: 'Nodes' });
  await table.waitFor();
  await tab.page.waitForFunction((count) => document.querySelector('[role=table]')?.getAttribute('aria-rowcount') === String(count + 1), nodes.totalCount);
  const drawn = await table.getByRole('row').count();
  assert.ok(nodes.totalCount > 100 && drawn < 60, `${nodes.totalCount} nodes, ${drawn} rows in the page`);
  assert.deepEqual(tab.problems(), []);
  await tab.close();
};
