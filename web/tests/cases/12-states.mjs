import assert from 'node:assert/strict';
import { SCHEMES, SIZES } from '../support/browser.mjs';
import { faultsOf, settled } from '../support/look.mjs';

/** What a registry says in which nothing is yet: what to do next. */
const EMPTY = [
  { name: 'overview', path: '/', heading: 'Overview', shows: 'No tool was called yet' },
  { name: 'nodes', path: '/nodes', heading: 'Nodes', shows: 'No node is registered yet' },
  { name: 'graph', path: '/graph', heading: 'Graph', shows: 'No node is registered yet' },
  { name: 'tools', path: '/tools', heading: 'Tools', shows: 'No tool is known yet' },
  { name: 'ports', path: '/ports', heading: 'Ports', shows: 'No port is leased' },
  { name: 'buses', path: '/buses', heading: 'Buses', shows: 'Create a bus' },
  { name: 'history', path: '/history', heading: 'History', shows: 'Nothing has changed yet' },
];

/** What is said of what nobody has. */
const ABSENT = [
  { name: 'node', path: '/nodes/nobody', heading: 'nobody', shows: 'No node has the name nobody' },
  { name: 'tool', path: '/tools/nothing', heading: 'nothing', shows: 'No tool is called nothing' },
  { name: 'bus', path: '/buses/nowhere', heading: 'nowhere', shows: 'No bus is called nowhere' },
];

const LOOKS = Object.keys(SIZES).flatMap((size) => SCHEMES.map((scheme) => ({ size, scheme })));

/** Looks at something in each size and scheme; says what is wrong anywhere. */
async function inEachLook(work) {
  const wrong = [];
  for (const look of LOOKS) {
    const as = `${look.size}-${look.scheme}`;
    wrong.push(...(await work(look, as)).map((fault) => `${as}: ${fault}`));
  }
  assert.deepEqual(wrong, []);
}

export const cases = {
  'a registry with nothing in it says what to do next, and what is not there is said': async ({ start, open, shots }) => {
    const { base } = await start();
    const views = [...EMPTY.map((view) => ({ ...view, kind: 'empty' })), ...ABSENT.map((view) => ({ ...view, kind: 'absent' }))];
    await inEachLook(async (look, as) => {
      const wrong = [];
      for (const view of views) {
        const tab = await open(base, look);
        await tab.go(view.path);
        await settled(tab.page, view);
        const faults = await faultsOf(tab.page, shots, `${view.kind}-${view.name}-${as}`);
        wrong.push(...[...faults, ...tab.problems()].map((fault) => `${view.path}: ${fault}`));
        await tab.close();
      }
      return wrong;
    });
  },

  'a lost connection leaves what was known to be read, and views that were not open say why they have nothing': async ({ start, open, shots }) => {
    const { registry, base } = await start();
    await registry.register({ name: 'known', ttlSeconds: 3600 });
    await inEachLook(async (look, as) => {
      const tab = await open(base, look);
      tab.expect(/WebSocket|Failed to load resource|ERR_CONNECTION|load preload assets|dynamically imported|the code of \/tools/);
      await tab.go('/');
      await tab.page.getByText('known registered').waitFor();
      await registry.stop();
      await tab.page.getByText('The connection to the registry is lost.').waitFor();
      await tab.page.getByText('How it is now is not known.').waitFor();
      await tab.page.getByText('known registered').waitFor();
      const wrong = await faultsOf(tab.page, shots, `lost-overview-${as}`);
      await tab.page.getByRole('link', { name: 'Tools', exact: true }).filter({ visible: true }).first().click();
      await settled(tab.page, { heading: 'This page is not there yet', shows: 'UNREACHABLE' });
      wrong.push(...(await faultsOf(tab.page, shots, `lost-page-${as}`)));
      await registry.serve();
      await settled(tab.page, { heading: 'Tools', shows: 'No tool is known yet' });
      await tab.page.getByText('The connection to the registry is lost.').waitFor({ state: 'detached' });
      // Now its code is there, and what it shows is not.
      await tab.page.getByRole('link', { name: 'Overview', exact: true }).filter({ visible: true }).first().click();
      await registry.stop();
      await tab.page.getByText('The connection to the registry is lost.').waitFor();
      await tab.page.getByRole('link', { name: 'Tools', exact: true }).filter({ visible: true }).first().click();
      await settled(tab.page, { heading: 'Tools', shows: 'UNREACHABLE' });
      assert.equal(await tab.page.getByText('No tool is known yet').count(), 0, 'what nobody knows is not said');
      wrong.push(...(await faultsOf(tab.page, shots, `lost-tools-${as}`)), ...tab.problems());
      await tab.close();
      await registry.serve();
      return wrong;
    });
  },

  'a page that fails leaves the others, and one whose code is another version by now comes by a reload': async ({ base, open, shots }) => {
    await inEachLook(async (look, as) => {
      const tab = await open(base, look);
      tab.expect(/made to fail|Failed to load resource|dynamically imported|the code of \/tools/);
      const { page } = tab;
      const to = (name) => page.getByRole('link', { name, exact: true }).filter({ visible: true }).first().click();
      const code = /\/assets\/ToolsPage-[^/]*\.js$/;
      await page.route(code, (route) => route.fulfill({ contentType: 'text/javascript', body: 'export default () => { throw new Error("made to fail"); };' }));
      await tab.go('/');
      await settled(page, { heading: 'Overview' });
      await to('Tools');
      await settled(page, { heading: 'This page failed', shows: 'made to fail' });
      const wrong = await faultsOf(page, shots, `failed-page-${as}`);
      await to('Nodes');
      await settled(page, { heading: 'Nodes' });

      await page.unroute(code);
      await page.route(code, (route) => route.fulfill({ status: 404 }));
      await tab.go('/');
      await settled(page, { heading: 'Overview' });
      await to('Tools');
      await settled(page, { heading: 'This page is not there yet', shows: 'UNREACHABLE' });
      await page.unroute(code);
      await page.getByRole('button', { name: 'Try again' }).click();
      await settled(page, { heading: 'Tools' });
      wrong.push(...tab.problems());
      await tab.close();
      return wrong;
    });
  },

  'who is asked for a token, and gives a wrong one, is told so': async ({ start, open, shots }) => {
    const { base } = await start({ args: ['--access'] });
    await inEachLook(async (look, as) => {
      const tab = await open(base, look);
      tab.expect(/401|WebSocket/);
      await tab.go('/');
      const dialog = tab.page.getByRole('dialog', { name: 'This registry asks who you are' });
      await dialog.waitFor();
      const wrong = await faultsOf(tab.page, shots, `token-${as}`);
      await dialog.getByRole('textbox', { name: 'Token' }).fill('onex_wrong');
      await dialog.getByRole('button', { name: 'Use this token' }).click();
      await dialog.getByText('The token is not known').waitFor();
      wrong.push(...(await faultsOf(tab.page, shots, `token-wrong-${as}`)), ...tab.problems());
      await tab.close();
      return wrong;
    });
  },
};
