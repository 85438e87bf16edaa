import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { DEADLINE_MS } from './registry.mjs';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

export const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
export const SCHEMES = ['light', 'dark'];

export async function launch(executablePath) {
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
}

/**
 * A page with a fresh profile, which notes whatever is wrong with it: errors in the console, requests to other hosts.
 */
export async function openPage(browser, base, { size = 'wide', scheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme: scheme, permissions: ['clipboard-read', 'clipboard-write'] });
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  const wrong = [];
  /** What a test makes happen on purpose, such as a connection that is refused. */
  const expected = [];
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    wrong.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => wrong.push(`uncaught: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !/^(data|blob):/.test(url)) wrong.push(`asked another host: ${url}`);
  });
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== new URL(base).host) wrong.push(`a websocket to another host: ${socket.url()}`);
  });
  return {
    page,
    go: (path) => page.goto(base + path),
    expect: (pattern) => expected.push(pattern),
    close: () => context.close(),
    problems: () => wrong.filter((each) => !expected.some((pattern) => pattern.test(each))),
  };
}

/** What axe finds to be serious or critical. */
export async function violations(page) {
  await page.evaluate(await readFile(axePath, 'utf8'));
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return found.violations
    .filter((violation) => violation.impact === 'serious' || violation.impact === 'critical')
    .map((violation) => `${violation.impact} ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => `${node.target.join(' ')} (${node.failureSummary.split('\n')[1]?.trim()})`).join('; ')}`);
}

export async function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}

export async function screenshot(page, directory, name) {
  if (directory) await page.screenshot({ path: join(directory, `${name}.png`) });
}
