import assert from 'node:assert/strict';
import { becomes } from '../support/look.mjs';
import { SCHEMES, screenshot, SIZES, violations } from '../support/browser.mjs';

async function openGraphiql({ base, open }, options) {
  const tab = await open(base, options);
  await tab.go('/graphiql');
  await tab.page.getByRole('button', { name: /Execute query/ }).waitFor();
  await tab.page.locator('.graphiql-query-editor .view-line').first().waitFor();
  return tab;
}

const answer = (page) => page.locator('.graphiql-response').innerText().then((text) => text.replace(/\s/g, ''));

export const cases = {
  'GraphiQL runs a query': async (world) => {
    const tab = await openGraphiql(world);
    await tab.page.getByRole('button', { name: /Execute query/ }).click();
    await tab.page.waitForFunction(() => document.querySelector('.graphiql-response')?.textContent?.includes('totalCount'));
    await becomes(() => answer(tab.page), /"totalCount":\d+/);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'GraphiQL runs a subscription, and shows a change as it comes': async (world) => {
    const tab = await openGraphiql(world);
    await tab.page.getByRole('button', { name: 'Watch', exact: true }).click();
    await tab.page.getByRole('button', { name: /Execute query/ }).click();
    await tab.page.getByRole('button', { name: /Stop query/ }).waitFor();
    await tab.page.waitForFunction(() => document.querySelector('.graphiql-response')?.textContent?.includes('registryEvents'));
    await world.registry.register({ name: 'seen_in_graphiql', ttlSeconds: 3600 });
    await tab.page.waitForFunction(() => document.querySelector('.graphiql-response')?.textContent?.includes('seen_in_graphiql'));
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'GraphiQL has documentation, the explorer, headers for a token, and is accessible': async (world) => {
    const wrong = [];
    for (const size of Object.keys(SIZES)) {
      for (const scheme of SCHEMES) {
        const tab = await openGraphiql(world, { size, scheme });
        for (const name of [/Show Documentation Explorer/i, /Show GraphiQL Explorer/i]) await tab.page.getByRole('button', { name }).waitFor();
        await tab.page.getByRole('button', { name: 'Headers' }).waitFor();
        await screenshot(tab.page, world.shots, `graphiql-${size}-${scheme}`);
        for (const violation of await violations(tab.page)) wrong.push(`${size} ${scheme}: ${violation}`);
        wrong.push(...tab.problems());
        await tab.close();
      }
    }
    assert.deepEqual(wrong, []);
  },
};
