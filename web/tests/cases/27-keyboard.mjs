import assert from 'node:assert/strict';
import { becomes } from '../support/look.mjs';
import { until } from '../support/registry.mjs';

/** What has the focus: its role or tag, and its name. */
const focused = (page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    const name = element?.getAttribute('aria-label') ?? element?.textContent?.trim() ?? '';
    return `${element?.getAttribute('role') ?? element?.tagName.toLowerCase()} ${name}`.slice(0, 80);
  });

/** Tab, until something holds of what has the focus; answers what was passed on the way. */
async function tabTo(page, wanted, key = 'Tab') {
  const passed = [];
  for (let step = 0; step < 60; step += 1) {
    await page.keyboard.press(key);
    const name = await focused(page);
    if (wanted.test(name)) return passed;
    passed.push(name);
  }
  throw new Error(`${wanted} was not reached: ${passed.join(' → ')}`);
}

async function opened({ base, open }, path, heading) {
  const tab = await open(base);
  await tab.go(path);
  await tab.page.getByRole('heading', { level: 1, name: heading }).waitFor();
  return tab;
}

/** That Tab and Shift+Tab go round within a dialog, that Escape closes it, and that whoever opened it has the focus again. */
async function trapsFocus(page, dialog, opener) {
  const within = () => dialog.evaluate((element) => element.contains(document.activeElement));
  for (const key of ['Tab', 'Shift+Tab']) {
    const seen = new Set();
    for (let step = 0; step < 40; step += 1) {
      assert.ok(await within(), `${key} left the dialog for: ${await focused(page)}`);
      seen.add(await focused(page));
      await page.keyboard.press(key);
    }
    assert.ok(seen.size >= 2, `only ${[...seen].join()} is reached`);
  }
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await until(`the focus back at ${opener}`, async () => opener.test(await focused(page)));
}

export const cases = {
  'the first Tab leads past the navigation, and the order is that of the page': async (world) => {
    const tab = await opened(world, '/nodes', 'Nodes');
    const { page } = tab;
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'a Skip to the content');
    assert.ok(await page.getByRole('link', { name: 'Skip to the content' }).isVisible());
    await page.keyboard.press('Enter');
    assert.ok(await page.evaluate(() => document.activeElement?.id === 'main'));
    const passed = await tabTo(page, /^row .*/);
    assert.deepEqual(passed.slice(0, 4), ['input Search name, tags, description, id', 'select Status', 'select Kind', 'select Trust']);
    assert.ok(!passed.some((name) => /^a (Overview|Graph|Tools)/.test(name)), passed.join(' → '));
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'every place of the navigation is reached by Tab and opened by Enter, and reading goes on at the new page': async (world) => {
    const tab = await opened(world, '/', 'Overview');
    const { page } = tab;
    for (const name of ['Nodes', 'Graph', 'Tools', 'Ports', 'Buses', 'History']) {
      await page.evaluate(() => document.activeElement instanceof window.HTMLElement && document.activeElement.blur());
      await page.getByRole('link', { name: 'Skip to the content' }).focus();
      await tabTo(page, new RegExp(`^a ${name}$`));
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
      await page.waitForFunction(() => document.activeElement?.id === 'main');
    }
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a node is opened from the table by the keyboard, its parts are gone through by arrows, and back leads back': async (world) => {
    const tab = await opened(world, '/nodes?search=order_desk', 'Nodes');
    const { page } = tab;
    await page.getByRole('row', { name: /order_desk/ }).waitFor();
    await page.locator('#main').focus();
    await tabTo(page, /^row .*order_desk/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'order_desk' }).waitFor();
    await tabTo(page, /^tab Summary/);
    await page.keyboard.press('ArrowRight');
    await page.getByRole('tab', { name: 'Contract', selected: true }).waitFor();
    await page.waitForURL(/tab=contract/);
    await page.keyboard.press('End');
    await page.getByRole('tab', { name: 'History', selected: true }).waitFor();
    await page.goBack();
    await page.getByRole('heading', { level: 1, name: 'Nodes' }).waitFor();
    assert.match(page.url(), /search=order_desk/);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'rows are gone through by arrows, Home and End, in view or not, and a column is sorted by Enter': async (world) => {
    if (!world.filled.corpus) world.skip('the corpus is absent');
    const tab = await opened(world, '/nodes', 'Nodes');
    const { page } = tab;
    const index = () => page.evaluate(() => Number(document.activeElement?.getAttribute('data-index') ?? -1));
    const at = (wanted) => page.waitForFunction((row) => document.activeElement?.getAttribute('data-index') === String(row), wanted);
    await page.getByRole('row').nth(1).focus();
    // Faster than rows are drawn.
    const twice = (key) => page.evaluate((pressed) => {
      for (let time = 0; time < 2; time += 1) {
        const event = new window.KeyboardEvent('keydown', { key: pressed, bubbles: true, cancelable: true });
        document.activeElement.dispatchEvent(event);
      }
    }, key);
    await twice('ArrowDown');
    await at(2);
    await page.keyboard.press('PageDown');
    await page.waitForFunction(() => Number(document.activeElement?.getAttribute('data-index')) > 8);
    const far = (await index()) - 2;
    await page.keyboard.press('Home');
    await at(0);
    await twice('PageDown');
    await at(2 * far);
    await page.keyboard.press('End');
    const rows = Number(await page.getByRole('table', { name: 'Nodes' }).getAttribute('aria-rowcount')) - 1;
    await at(rows - 1);
    assert.ok(await page.evaluate(() => {
      const box = document.activeElement.getBoundingClientRect();
      return box.top > 0 && box.bottom < window.innerHeight;
    }), 'the last row has the focus and is not in view');
    await page.keyboard.press('Home');
    await at(0);
    assert.equal(await index(), 0);
    await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').focus();
    await page.keyboard.press('Enter');
    await becomes(() => page.getByRole('columnheader', { name: 'Name' }).getAttribute('aria-sort'), 'descending');
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'dialogs keep the focus, Escape closes them, and it goes back to what opened them': async (world) => {
    const tab = await opened(world, '/buses', 'Buses');
    const { page } = tab;
    const button = page.getByRole('button', { name: 'Create a bus' });
    await button.focus();
    await page.keyboard.press('Enter');
    const create = page.getByRole('dialog', { name: 'Create a bus' });
    await create.waitFor();
    await becomes(() => focused(page), /^input/);
    await trapsFocus(page, create, /^button Create a bus/);

    await page.getByRole('link', { name: 'Ports', exact: true }).first().click();
    await page.getByRole('button', { name: 'Allocate a port' }).press('Enter');
    const allocate = page.getByRole('dialog', { name: 'Allocate a port' });
    await allocate.waitFor();
    await trapsFocus(page, allocate, /^button Allocate a port/);

    const release = page.getByRole('button', { name: /^Release port/ }).first();
    const name = await release.getAttribute('aria-label');
    await release.press('Enter');
    const confirm = page.getByRole('dialog', { name: `${name}?` });
    await confirm.waitFor();
    await trapsFocus(page, confirm, new RegExp(`^button ${name}`));

    await page.keyboard.press('Control+k');
    const palette = page.getByRole('dialog');
    await palette.waitFor();
    await page.keyboard.press('Escape');
    await palette.waitFor({ state: 'detached' });
    await until('the focus where it was', async () => (await focused(page)).startsWith(`button ${name}`));
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a sheet of details opens from a row by Enter, and Escape leads back to the row': async (world) => {
    const tab = await opened(world, '/buses/shop', 'shop');
    const { page } = tab;
    const row = page.getByRole('table', { name: 'Events of shop' }).getByRole('row', { name: /orders\.placed/ }).first();
    await row.waitFor();
    // Held still, so that the row stays where it is.
    await page.getByRole('button', { name: 'Pause' }).press('Enter');
    const place = await row.getAttribute('aria-rowindex');
    await row.focus();
    await page.keyboard.press('Enter');
    const sheet = page.getByRole('dialog');
    await sheet.waitFor();
    await page.keyboard.press('Escape');
    await sheet.waitFor({ state: 'detached' });
    await page.waitForFunction((wanted) => document.activeElement?.getAttribute('aria-rowindex') === wanted, place);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },
};
