import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export const cases = {
  'a lost connection is said, comes back by itself, and nothing was missed': async ({ start, open }) => {
    const { registry, base } = await start();
    await registry.register({ name: 'before', ttlSeconds: 3600 });
    const tab = await open(base);
    tab.expect(/WebSocket|Failed to load resource|ERR_CONNECTION/);
    await tab.go('/');
    await tab.page.getByText('before registered').waitFor();
    await tab.page.getByText('Live', { exact: true }).filter({ visible: true }).waitFor();
    await registry.stop();
    await tab.page.getByText('The connection to the registry is lost.').waitFor();
    await registry.serve();
    // Made while the page is not there to hear it.
    const missed = Array.from({ length: 20 }, (_, index) => `missed_${String(index).padStart(2, '0')}`);
    for (const name of missed) await registry.register({ name, ttlSeconds: 3600 });
    await tab.page.getByText('Live', { exact: true }).filter({ visible: true }).waitFor();
    await tab.page.getByText('missed_19 registered').waitFor();
    await tab.page.getByText('The connection to the registry is lost.').waitFor({ state: 'detached' });
    await tab.page.getByRole('link', { name: 'Nodes', exact: true }).first().click();
    for (const name of ['missed_00', 'missed_19']) await tab.page.getByRole('link', { name }).first().waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a registry that hangs is as lost as one that is gone, until it goes on': async ({ start, open }) => {
    const { registry, base } = await start();
    await registry.register({ name: 'before', ttlSeconds: 3600 });
    const tab = await open(base);
    tab.expect(/WebSocket/);
    await tab.go('/');
    await tab.page.getByText('Live', { exact: true }).filter({ visible: true }).waitFor();
    registry.hang();
    const band = tab.page.getByRole('alert').filter({ hasText: 'The connection to the registry is lost.' });
    await band.waitFor();
    // Tried again, nobody answers: it is not said to be there meanwhile, and it does not wait for ever.
    await band.getByText('Trying').waitFor();
    await band.getByText(/Again in/).waitFor();
    registry.goOn();
    await registry.register({ name: 'after', ttlSeconds: 3600 });
    await tab.page.getByText('after registered').waitFor();
    await band.waitFor({ state: 'detached' });
    await tab.page.getByText('Live', { exact: true }).filter({ visible: true }).waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a registry that wants a token is asked for with words, and a wrong one is asked for again': async ({ start, open }) => {
    const { registry, base } = await start({ args: ['--access'] });
    const token = (await readFile(join(registry.dataDir, 'admin.token'), 'utf8')).trim();
    const tab = await open(base);
    tab.expect(/401|WebSocket/);
    await tab.go('/');
    const dialog = tab.page.getByRole('dialog', { name: 'This registry asks who you are' });
    await dialog.waitFor();
    await dialog.getByRole('textbox', { name: 'Token' }).fill('onex_wrong');
    await dialog.getByRole('button', { name: 'Use this token' }).click();
    await dialog.waitFor();
    await dialog.getByRole('textbox', { name: 'Token' }).fill(token);
    await dialog.getByRole('button', { name: 'Use this token' }).click();
    await tab.page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await tab.page.getByText('Live', { exact: true }).filter({ visible: true }).waitFor();
    // Kept for this tab alone, and over a reload.
    await tab.page.reload();
    await tab.page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    assert.equal(await tab.page.evaluate(() => JSON.stringify(localStorage).includes('onex_')), false);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },
};
