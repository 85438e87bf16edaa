import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { becomes } from '../support/look.mjs';

const CHAIN = ['well', 'pump', 'tower', 'tap', 'basin'];

/** A line of nodes, each of which reads what the one before publishes; answers their ids by name. */
async function chain(registry, prefix) {
  const ids = {};
  for (const [index, name] of CHAIN.entries()) {
    const contract = {
      name: `${prefix}_${name}`, node_type: 'effect', node_version: '1.0.0', contract_version: '1.0.0',
      event_bus: { subscribe_topics: index > 0 ? [`${prefix}.${CHAIN[index - 1]}.v1`] : [], publish_topics: [`${prefix}.${name}.v1`] },
    };
    ids[name] = (await registry.register({ contract: JSON.stringify(contract), declareOnly: true })).id;
  }
  return ids;
}

/** The graph as it is drawn: its picture shows nothing to a test, but the list has the same in words. */
async function openGraph({ base, open }, query = '') {
  const tab = await open(base);
  await tab.go(`/graph${query}`);
  await tab.page.getByRole('application', { name: /Picture of the graph/ }).waitFor();
  return tab;
}

const panel = (page, name) => page.getByRole('region', { name, exact: true });
const nodesOf = (page) => page.getByText(/\d+ nodes?, \d+ connections?/).first();

export const cases = {
  'a node is found in the graph, chosen, and looked at with what is around it to a depth': async (world) => {
    await chain(world.registry, 'water');
    const tab = await openGraph(world);
    const { page } = tab;
    await page.getByRole('searchbox', { name: 'Find a node by name' }).fill('water_');
    await page.getByText('5 found, Enter for the next').waitFor();
    await page.getByRole('searchbox', { name: 'Find a node by name' }).fill('water_tower');
    await page.getByText('1 found, Enter for the next').waitFor();
    await page.keyboard.press('Enter');
    const chosen = panel(page, 'water_tower');
    await chosen.waitFor();
    await becomes(() => chosen.innerText(), /Fed by[\s\S]*water_pump[\s\S]*Feeds[\s\S]*water_tap/);
    assert.match(page.url(), /node=/);

    await chosen.getByRole('button', { name: 'Focus' }).click();
    await page.getByText('Around water_tower: 5 nodes, 4 connections.').waitFor();
    await page.getByLabel('How far').selectOption('1');
    await page.getByText('Around water_tower: 3 nodes, 2 connections.').waitFor();
    await page.getByLabel('Which way').selectOption('downstream');
    await page.getByText('Around water_tower: 2 nodes, 1 connection.').waitFor();
    await page.getByLabel('How far').selectOption('all');
    await page.getByText('Around water_tower: 3 nodes, 2 connections.').waitFor();
    // The same address is the same picture.
    await page.reload();
    await page.getByText('Around water_tower: 3 nodes, 2 connections.').waitFor();
    await page.getByRole('button', { name: 'As a list' }).click();
    // The search holds for the list as well.
    const names = () => page.getByRole('table', { name: 'Nodes of the graph' }).getByRole('link').allInnerTexts();
    await becomes(names, ['water_tower']);
    await page.getByRole('searchbox', { name: 'Find a node by name' }).press('Escape');
    await becomes(async () => (await names()).sort(), ['water_basin', 'water_tap', 'water_tower']);
    await page.getByRole('button', { name: 'Whole graph' }).click();
    await page.getByText(/^Who feeds whom/).waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'what breaks when a node stops is listed by how far away it is': async (world) => {
    const ids = await chain(world.registry, 'steam');
    const tab = await openGraph(world, `?node=${ids.pump}`);
    const { page } = tab;
    await panel(page, 'steam_pump').getByRole('button', { name: 'What breaks if this stops' }).click();
    const breaks = page.getByRole('region', { name: 'What breaks if steam_pump stops' });
    await breaks.getByText('If it stops, 3 nodes may break.').waitFor();
    await becomes(() => breaks.innerText(), /At once[\s\S]*steam_tower[\s\S]*After 2 steps[\s\S]*steam_tap[\s\S]*After 3 steps[\s\S]*steam_basin/);
    assert.doesNotMatch(await breaks.innerText(), /steam_well/);
    // Live: one that reads from the last one breaks as well.
    const contract = { name: 'steam_drain', node_type: 'effect', node_version: '1.0.0', contract_version: '1.0.0', event_bus: { subscribe_topics: ['steam.basin.v1'], publish_topics: [] } };
    await world.registry.register({ contract: JSON.stringify(contract), declareOnly: true });
    await breaks.getByText('If it stops, 4 nodes may break.').waitFor();
    await breaks.getByRole('button', { name: 'steam_drain' }).click();
    await panel(page, 'steam_drain').waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'the picture is a file: every node and line of it, in SVG': async (world) => {
    const ids = await chain(world.registry, 'gas');
    const tab = await openGraph(world, `?focus=${ids.tower}&depth=all`);
    const { page } = tab;
    await page.getByText('Around gas_tower: 5 nodes, 4 connections.').waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export SVG' }).click()]);
    assert.equal(download.suggestedFilename(), 'onex-gas_tower.svg');
    const text = await readFile(await download.path(), 'utf8');
    const drawn = await page.evaluate((svg) => {
      const file = new window.DOMParser().parseFromString(svg, 'image/svg+xml');
      return { broken: file.querySelector('parsererror') !== null, titles: [...file.querySelectorAll('g > title')].map((title) => title.textContent), lines: file.querySelectorAll('path[stroke]').length, scripts: file.querySelectorAll('script').length };
    }, text);
    assert.deepEqual(drawn, { broken: false, titles: CHAIN.map((name) => `gas_${name}`).sort(), lines: 4, scripts: 0 });
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'names that nobody registered and cycles are marked, and the graph is walked by the keyboard': async (world) => {
    await chain(world.registry, 'wind');
    const tab = await openGraph(world);
    const { page } = tab;
    const concerns = panel(page, 'Wants a look');
    await concerns.getByRole('button', { name: 'ledger', exact: true }).waitFor();
    await concerns.getByRole('button', { name: /(biller|dunner) and 1 other/ }).click();
    await page.getByText('In a cycle of 2').waitFor();
    await page.getByRole('searchbox', { name: 'Find a node by name' }).fill('wind_well');
    await page.getByText('1 found, Enter for the next').waitFor();
    await page.keyboard.press('Enter');
    await panel(page, 'wind_well').waitFor();
    await page.getByRole('application', { name: /Picture of the graph/ }).focus();
    await page.keyboard.press('ArrowRight');
    await panel(page, 'wind_pump').waitFor();
    await page.keyboard.press('ArrowRight');
    await panel(page, 'wind_tower').waitFor();
    await page.keyboard.press('ArrowLeft');
    await panel(page, 'wind_pump').waitFor();
    await page.keyboard.press('Escape');
    await concerns.waitFor();
    assert.ok(await nodesOf(page).isVisible());
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },
};
