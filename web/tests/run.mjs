// The tests of the pages: a real registry, a real browser.
//
//   node tests/run.mjs --onex PATH_OF_BINARY [--shots DIRECTORY] [--only WORDS] [--dist DIRECTORY]
//
// WORDS are part of a case's name or of its file's.
// What is tested are the pages that the binary serves; with --dist, and where it has none, those that `npm run build` made.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { launch, openPage, screenshot } from './support/browser.mjs';
import { fill } from './support/fill.mjs';
import { servePages } from './support/pages.mjs';
import { Registry } from './support/registry.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: {
    onex: { type: 'string', default: process.env.ONEX ?? 'onex' },
    shots: { type: 'string', default: process.env.ONEX_WEB_SHOTS },
    only: { type: 'string', default: '' },
    dist: { type: 'string' },
    chromium: { type: 'string', default: process.env.CHROMIUM },
  },
});

const dist = resolve(values.dist ?? join(here, '../dist'));
const executable = values.chromium ?? execFileSync('sh', ['-c', 'command -v chromium']).toString().trim();
if (values.shots) await mkdir(values.shots, { recursive: true });

const counts = { passed: 0, failed: 0, skipped: 0 };
const closing = [];
const browser = await launch(executable);

/** What a case is given. */
const world = {
  browser,
  dist,
  shots: values.shots,
  /** A registry of its own, with the pages in front of it; gone when the tests are over. */
  async start(options) {
    const registry = await Registry.start(values.onex, options);
    closing.push(() => registry.dispose());
    const own = await fetch(registry.url, { headers: { Accept: 'text/html' } }).then((answer) => answer.text(), () => '');
    if (values.dist === undefined && own.includes('id="root"')) return { registry, base: registry.url };
    const pages = await servePages(dist, registry);
    closing.push(() => pages.close());
    return { registry, base: pages.url };
  },
  open: (base, options) => openPage(browser, base, options),
};

class Skipped extends Error {}
world.skip = (reason) => {
  throw new Skipped(reason);
};

const openPages = () => browser.contexts().flatMap((context) => context.pages());

async function check(file, name, run) {
  if (!`${file} ${name}`.toLowerCase().includes(values.only.toLowerCase())) return;
  const began = performance.now();
  const said = [];
  try {
    await run((line) => said.push(line));
    counts.passed += 1;
    console.log(`ok       ${name} (${Math.round(performance.now() - began)} ms)`);
  } catch (error) {
    if (error instanceof Skipped) {
      counts.skipped += 1;
      console.log(`skipped  ${name}: ${error.message}`);
    } else {
      counts.failed += 1;
      console.log(`FAILED   ${name}\n${String(error.stack ?? error).replace(/^/gm, '         ')}`);
      for (const page of openPages()) await screenshot(page, values.shots, `failed-${name.replace(/\W+/g, '-')}`);
    }
  }
  // A case that failed has closed nothing.
  for (const page of openPages()) await page.context().close();
  for (const line of said) console.log(`         ${line}`);
}

try {
  if (!existsSync(join(dist, 'index.html'))) console.log(`note: ${dist} is not built; only a binary with pages of its own can be tested`);
  Object.assign(world, await world.start());
  world.filled = await fill(world.registry, resolve(here, '../../../shared/corpus/onex-infra'));
  for (const file of (await readdir(join(here, 'cases'))).sort()) {
    const { cases } = await import(`./cases/${file}`);
    for (const [name, run] of Object.entries(cases)) await check(file, name, (say) => run(world, say));
  }
} finally {
  await browser.close();
  for (const close of closing.reverse()) await close();
}
if (counts.skipped > 0) console.log(`${counts.skipped} skipped`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 ? 1 : 0;
