import assert from 'node:assert/strict';
import { overflow, screenshot, violations } from './browser.mjs';
import { until } from './registry.mjs';

/** Waits until what is read is this, or fits it: a page is drawn in parts, and what is there may not be all of it yet. */
export async function becomes(read, wanted) {
  await until('what is wanted', async () => {
    const value = await read();
    if (wanted instanceof RegExp) assert.match(value, wanted);
    else assert.deepEqual(value, wanted);
    return true;
  });
}

/** Waits until a view has its heading and what it shows, and nothing in it loads any more. */
export async function settled(page, view) {
  await page.getByRole('heading', { level: 1, name: view.heading }).waitFor();
  if (view.shows) await page.getByText(view.shows).filter({ visible: true }).first().waitFor();
  await page.waitForFunction(() => document.querySelector('main [role="status"][aria-label^="Loading"]') === null);
  await page.waitForLoadState('networkidle');
}

/** Takes a picture of a page as it is, and says what is wrong with it: for those who do not see, or on small screens. */
export async function faultsOf(page, shots, name) {
  // What fades in is looked at when it is there; what moves for as long as something loads is not waited for.
  await page.evaluate(() => Promise.all(document.getAnimations().filter((each) => each.effect?.getComputedTiming().endTime !== Infinity).map((each) => each.finished.catch(() => {}))));
  await screenshot(page, shots, name);
  const faults = (await violations(page)).map((violation) => `axe ${violation}`);
  const over = await overflow(page);
  if (over > 0) faults.push(`is ${over} pixels wider than the screen`);
  return faults;
}
