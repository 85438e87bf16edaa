import assert from 'node:assert/strict';
import { registerMany } from '../support/fill.mjs';
import { frameWords, watchFrames } from '../support/frames.mjs';

const COUNT = 10_000;
const GRAPH_COUNT = 1_000;
const ROWS_MAX = 60;
const SCROLL_SECONDS = 3;

const rowCount = (page, count) => page.waitForFunction((wanted) => document.querySelector('[role=table]')?.getAttribute('aria-rowcount') === String(wanted + 1), count);

/** Nodes each of which reads what two before it publish. */
async function registerFeeding(registry, count) {
  const topic = (index) => `feeds.t${index}`;
  const add = (index) => {
    const event_bus = { publish_topics: [topic(index)], subscribe_topics: index > 0 ? [topic(Math.floor((index - 1) / 3)), topic((index * 7) % index)] : [] };
    const contract = { name: `feeds_${index}`, node_type: 'effect', node_version: '1.0.0', contract_version: '1.0.0', event_bus };
    return registry.register({ contract: JSON.stringify(contract), declareOnly: true });
  };
  const indices = Array.from({ length: count }, (_, index) => index);
  for (let from = 0; from < count; from += 50) await Promise.all(indices.slice(from, from + 50).map(add));
}

/** Runs in the page: scrolls down by so many pixels, bit by bit, and says how many rows were in the page at most. */
function scrollDown({ seconds, pixels }) {
  const scroller = document.querySelector('[role=table]');
  const box = scroller.getBoundingClientRect();
  const began = performance.now();
  let most = 0;
  let blank = 0;
  return new Promise((resolve) => {
    const frame = () => {
      // What the frame before has asked for is drawn by now.
      most = Math.max(most, scroller.querySelectorAll('[data-index]').length);
      if (!document.elementFromPoint(box.left + 40, box.top + box.height / 2)?.closest('[data-index]')) blank += 1;
      const part = Math.min(1, (performance.now() - began) / (seconds * 1_000));
      scroller.scrollTo(0, part * Math.min(pixels, scroller.scrollHeight - scroller.clientHeight));
      if (part < 1) requestAnimationFrame(frame);
      else resolve({ most, blank });
    };
    frame();
  });
}

/** Runs in the page: milliseconds from a change of a control until the table says so many rows, painted. */
function answered({ count, act }) {
  const table = document.querySelector('[role=table]');
  return new Promise((resolve) => {
    const began = performance.now();
    const look = () => {
      if (table.getAttribute('aria-rowcount') !== String(count + 1)) requestAnimationFrame(look);
      else requestAnimationFrame(() => resolve(Math.round(performance.now() - began)));
    };
    const box = document.querySelector('input[type=search]');
    Object.getOwnPropertyDescriptor(window.HTMLInputElement.prototype, 'value').set.call(box, act);
    box.dispatchEvent(new window.Event('input', { bubbles: true }));
    look();
  });
}

export const cases = {
  'ten thousand nodes are a table of which only what is in view is in the page': async ({ start, open }, say) => {
    const { registry, base } = await start();
    let began = performance.now();
    await registerMany(registry, 'many', COUNT);
    say(`${COUNT} nodes registered in ${((performance.now() - began) / 1_000).toFixed(1)} s`);

    const tab = await open(base);
    const { page } = tab;
    began = performance.now();
    await tab.go('/nodes');
    await page.getByRole('row', { name: /many_00000/ }).waitFor();
    const first = Math.round(performance.now() - began);
    await rowCount(page, COUNT);
    say(`the first rows after ${first} ms, all of them after ${Math.round(performance.now() - began)} ms`);

    for (const [how, pixels] of [['as one reads', 6_000], ['as one drags the scroll bar', Infinity]]) {
      await page.evaluate(watchFrames);
      const { most, blank } = await page.evaluate(scrollDown, { seconds: SCROLL_SECONDS, pixels });
      say(`scrolled ${how}: ${frameWords(await page.evaluate(() => window.seen()))}, ${blank} frames without rows, ${most} rows in the page at most`);
      assert.ok(most < ROWS_MAX, `${most} rows in the page`);
    }
    await page.getByRole('row', { name: /many_09999/ }).waitFor();

    const times = [];
    for (const [act, count] of [['many_07', 1_000], ['many_077', 100], ['many_07777', 1], ['', COUNT], ['part_12', 550]]) times.push(`${act || 'nothing'} ${await page.evaluate(answered, { act, count })}`);
    say(`searched, in ms: ${times.join(', ')}`);
    await page.getByRole('searchbox').fill('');
    await rowCount(page, COUNT);
    began = performance.now();
    await page.getByRole('columnheader', { name: 'Kind' }).getByRole('button').click();
    await page.waitForFunction(() => /Compute/.test(document.querySelector('[data-index="0"]')?.textContent ?? ''));
    say(`sorted by another column in ${Math.round(performance.now() - began)} ms`);

    // Live among them, and no row more in the page.
    await page.getByRole('searchbox').fill('a_late_one');
    await page.getByText('No node fits these filters').waitFor();
    await registry.register({ name: 'a_late_one', ttlSeconds: 3600 });
    await page.getByRole('row', { name: /a_late_one/ }).waitFor();
    await page.getByRole('searchbox').fill('');
    await rowCount(page, COUNT + 1);
    assert.ok((await page.locator('[data-index]').count()) < ROWS_MAX);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a graph of a thousand nodes is drawn, and can be moved about in': async ({ start, open }, say) => {
    const { registry, base } = await start();
    await registerFeeding(registry, GRAPH_COUNT);
    const tab = await open(base);
    const { page } = tab;
    const began = performance.now();
    await tab.go('/graph');
    const picture = page.getByRole('application', { name: /Picture of the graph/ });
    await picture.waitFor();
    await page.getByText(/1,000 nodes, [\d,]+ connections/).first().waitFor();
    say(`the first picture after ${Math.round(performance.now() - began)} ms`);

    const box = await picture.boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.evaluate(watchFrames);
    for (let turn = 0; turn < 60; turn += 1) await page.mouse.wheel(0, turn % 30 < 15 ? -120 : 120);
    await page.mouse.down();
    for (let step = 0; step < 60; step += 1) await page.mouse.move(box.x + box.width / 2 + step * 4, box.y + box.height / 2 + step * 2);
    await page.mouse.up();
    say(`zoomed and dragged: ${frameWords(await page.evaluate(() => window.seen()))}`);
    await page.getByRole('searchbox', { name: 'Find a node by name' }).fill('feeds_999');
    await page.getByText('1 found, Enter for the next').waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },
};
