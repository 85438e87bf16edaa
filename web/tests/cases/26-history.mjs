import assert from 'node:assert/strict';
import { becomes } from '../support/look.mjs';

/** Three changes of a registry, and the places in the log before each and after the last. */
async function story(registry, prefix) {
  const place = () => registry.ask('{ registry { sequence } }').then((data) => data.registry.sequence);
  const places = [await place()];
  const node = await registry.register({ name: `${prefix}_first`, kind: 'SERVICE', version: '1.0.0', ttlSeconds: 3600 });
  places.push(await place());
  await registry.register({ name: `${prefix}_first`, kind: 'SERVICE', version: '2.0.0', ttlSeconds: 3600 });
  const second = await registry.register({ name: `${prefix}_second`, kind: 'TOOL', ttlSeconds: 3600 });
  places.push(await place());
  await registry.ask('mutation ($id: UUID!) { deregister(input: {nodeId: $id}) { id } }', { id: second.id });
  places.push(await place());
  return { node, second, places };
}

const changes = (page) => page.getByRole('list', { name: 'Changes, the latest first' }).getByRole('listitem');

export const cases = {
  'the timeline is filtered by kind, node and actor, and the filter is an address': async ({ base, registry, open }) => {
    const { node } = await story(registry, 'filtered');
    const tab = await open(base);
    const { page } = tab;
    await tab.go('/history');
    await changes(page).filter({ hasText: 'filtered_second' }).first().waitFor();
    await page.getByLabel('Node', { exact: true }).fill('filtered_first');
    await page.getByLabel('Node', { exact: true }).press('Enter');
    await page.getByText('2 changes loaded, live').waitFor();
    assert.match(page.url(), /node=filtered_first/);
    await page.getByLabel('Kind').selectOption('NODE_REGISTERED');
    await page.getByText('1 change loaded, live').waitFor();
    // Live, and only what fits.
    await registry.ask('mutation ($id: UUID!) { deregister(input: {nodeId: $id}) { id } }', { id: node.id });
    await page.getByRole('button', { name: 'Clear the filters' }).click();
    // What is gone is still called by its name.
    await changes(page).filter({ hasText: 'filtered_first left' }).waitFor();

    await page.getByLabel('Actor').fill('nobody_acts_so');
    await page.getByLabel('Actor').press('Enter');
    await page.getByText('No change fits these filters').waitFor();
    await page.getByLabel('Actor').fill('anonymous');
    await page.getByLabel('Actor').press('Enter');
    await changes(page).filter({ hasText: 'filtered_first' }).first().waitFor();
    await page.getByLabel('Node', { exact: true }).fill('no_such_node');
    await page.getByLabel('Node', { exact: true }).press('Enter');
    await page.getByText('No node has this name.').waitFor();
    await page.goBack();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a moment is picked, and the registry is seen as it was then': async ({ start, open }) => {
    const { registry, base } = await start();
    const { places } = await story(registry, 'once');
    const tab = await open(base);
    const { page } = tab;
    // From a change of the timeline to how things stood at it.
    await tab.go('/history');
    await changes(page).filter({ hasText: /once_second left/ }).getByRole('group').press('Enter');
    await page.getByRole('button', { name: 'The registry as it was then' }).click();
    await page.waitForURL(/view=then/);

    const place = page.getByLabel('Place', { exact: true });
    const rows = page.getByRole('table', { name: 'Nodes as they were' }).getByRole('row', { name: /once_/ });
    for (const [at, nodes] of [[places[3], ['once_first 2.0.0']], [places[2], ['once_first 2.0.0', 'once_second']], [places[1], ['once_first 1.0.0']], [places[0], []]]) {
      await place.fill(String(at));
      await place.press('Enter');
      await page.getByText(`As of change #${at}, `).waitFor();
      await becomes(async () => {
        const shown = await rows.evaluateAll((each) => each.map((row) => [...row.querySelectorAll('[role=cell]')].map((cell) => cell.innerText)));
        return shown.map(([name, , , version]) => (version.startsWith('–') ? name : `${name} ${version}`)).sort();
      }, nodes);
    }
    await page.getByText('No node was registered then').waitFor();
    await page.getByRole('button', { name: 'The moment: the next place' }).click();
    await rows.first().waitFor();
    // The address is the moment.
    const { search } = new URL(page.url());
    await page.reload();
    await rows.first().waitFor();
    assert.equal(new URL(page.url()).search, search);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'two moments are compared: what came, what went, and what says something else': async ({ start, open }) => {
    const { registry, base } = await start();
    const { places } = await story(registry, 'compared');
    const tab = await open(base);
    const { page } = tab;
    const part = (name) => page.getByRole('region', { name, exact: true });
    await tab.go(`/history?view=between&from=${places[1]}&at=${places[2]}`);
    await page.getByText(/: 1 added, 0 removed, 1 changed\./).waitFor();
    await part('Added').getByText('compared_second').waitFor();
    await becomes(() => part('Changed').innerText(), /compared_first[\s\S]*version[\s\S]*1\.0\.0[\s\S]*2\.0\.0/i);
    await page.getByRole('list', { name: 'The changes between, the latest first' }).getByRole('listitem').nth(1).waitFor();

    // One step on, and what was added is gone again.
    const later = page.getByRole('group', { name: 'The later moment' });
    await later.getByLabel('Place', { exact: true }).fill(String(places[3]));
    await later.getByLabel('Place', { exact: true }).press('Enter');
    await page.getByText(/: 0 added, 0 removed, 1 changed\./).waitFor();
    const earlier = page.getByRole('group', { name: 'The earlier moment' });
    await earlier.getByLabel('Place', { exact: true }).fill(String(places[2]));
    await earlier.getByLabel('Place', { exact: true }).press('Enter');
    await page.getByText(/: 0 added, 1 removed, 0 changed\./).waitFor();
    await part('Removed').getByText('compared_second').waitFor();
    // The wrong way round is said, and put right.
    await later.getByLabel('Place', { exact: true }).fill('1');
    await later.getByLabel('Place', { exact: true }).press('Enter');
    await page.getByText('The first moment is after the second').waitFor();
    await page.getByRole('button', { name: 'Exchange them' }).click();
    await page.getByText(/: 1 added, 0 removed, 1 changed\./).waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a bar of the timeline leads into its part of the time, and back': async ({ base, open }) => {
    const tab = await open(base);
    const { page } = tab;
    await tab.go('/history');
    const bars = page.getByRole('toolbar', { name: 'Changes over time' });
    await bars.getByRole('button', { name: /^[1-9]\d* changes?, / }).first().click();
    await page.waitForURL(/since=.*until=/);
    await changes(page).first().waitFor();
    await page.getByRole('button', { name: 'The whole time' }).click();
    await page.waitForURL((url) => !url.search.includes('since='));
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },
};
