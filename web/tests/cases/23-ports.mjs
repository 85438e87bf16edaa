import assert from 'node:assert/strict';
import { becomes } from '../support/look.mjs';

const BAND = /Numbers of .* for TCP/;

export const cases = {
  'a port is allocated from the page, is seen in the band and in the table, and is given back': async ({ base, registry, open }) => {
    const { portPools } = await registry.ask('{ portPools { transport from to } }');
    const pool = portPools.find((each) => each.transport === 'TCP');
    const number = pool.from + 777;
    const tab = await open(base);
    const { page } = tab;
    await tab.go('/ports');
    await page.getByRole('button', { name: 'Allocate a port' }).click();
    const dialog = page.getByRole('dialog', { name: 'Allocate a port' });
    await dialog.getByLabel('Purpose').fill('asked for by hand');
    await dialog.getByLabel('Number', { exact: true }).fill(String(number));
    await dialog.getByLabel('That number or none').check();
    await dialog.getByLabel('Holds for').selectOption({ label: '10 minutes' });
    await dialog.getByRole('button', { name: 'Allocate', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });

    const row = page.getByRole('row', { name: new RegExp(`${number}.*asked for by hand`) });
    await row.waitFor();
    await becomes(() => row.innerText(), /\b(10|9) m\b/);
    const band = page.getByRole('slider', { name: BAND });
    await page.waitForFunction((wanted) => document.querySelector('[role=slider]')?.getAttribute('aria-valuetext')?.startsWith(wanted), `${number}, leased to`);
    const held = (await registry.ask('query ($port: Int!) { ports(filter: {port: $port, status: ACTIVE}) { nodes { purpose } } }', { port: number })).ports.nodes;
    assert.deepEqual(held, [{ purpose: 'asked for by hand' }]);

    // The same number again is refused in words, and the dialog stays.
    await page.getByRole('button', { name: 'Allocate a port' }).click();
    await dialog.getByLabel('Number', { exact: true }).fill(String(number));
    await dialog.getByLabel('That number or none').check();
    await dialog.getByLabel('Key').fill('somebody-else');
    await dialog.getByRole('button', { name: 'Allocate', exact: true }).click();
    await dialog.getByRole('alert').getByText(/[A-Z]+_[A-Z]+/).waitFor();
    await dialog.getByRole('button', { name: 'Close' }).first().click();

    await page.getByRole('button', { name: `Release port ${number}` }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Release it' }).click();
    await row.waitFor({ state: 'detached' });
    await page.waitForFunction((wanted) => document.querySelector('[role=slider]')?.getAttribute('aria-valuetext')?.startsWith(wanted), `${number}, kept back`);
    await band.waitFor();
    const { ports } = await registry.ask('query ($port: Int!) { ports(filter: {port: $port, status: ACTIVE}) { totalCount } }', { port: number });
    assert.equal(ports.totalCount, 0);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'the band is walked by the keyboard: number by number, row by row, and from one in use to the next': async ({ base, registry, open }) => {
    const { ports } = await registry.ask('{ ports(filter: {status: ACTIVE}) { nodes { port transports } } }');
    const used = ports.nodes.filter((lease) => lease.transports.includes('TCP')).map((lease) => lease.port).sort((a, b) => a - b);
    const tab = await open(base);
    const { page } = tab;
    await tab.go('/ports');
    const band = page.getByRole('slider', { name: BAND });
    const at = (number) => page.waitForFunction((wanted) => document.querySelector('[role=slider]')?.getAttribute('aria-valuenow') === wanted, String(number));
    await page.getByText(String(used.at(-1))).first().waitFor();
    const first = Number(await band.getAttribute('aria-valuemin'));
    const last = Number(await band.getAttribute('aria-valuemax'));
    await band.focus();
    for (const [key, number] of [['Home', first], ['ArrowRight', first + 1], ['End', last], ['ArrowLeft', last - 1], ['p', used.at(-1)]]) {
      await page.keyboard.press(key);
      await at(number);
    }
    // Where it stopped, the number beside the picture is the same.
    await page.getByRole('heading', { name: `Number ${used.at(-1)}` }).waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'numbers that nobody gets are at their places in the band, with the reason': async ({ start, open }) => {
    const { registry, base } = await start({ env: { ONEX_PORTS_RESERVED: '22000,24000-24099', ONEX_PORTS_QUARANTINE_SECONDS: '10' } });
    const lease = JSON.parse(await registry.run('port', 'allocate', '--key', 'short', '--format', 'json'));
    const { port, id } = Array.isArray(lease) ? lease[0] : lease;
    const tab = await open(base);
    const { page } = tab;
    const said = (number, words) => page.waitForFunction(([at, text]) => {
      const band = document.querySelector('[role=slider]');
      return band?.getAttribute('aria-valuenow') === at && band.getAttribute('aria-valuetext')?.includes(text);
    }, [String(number), words]);
    await tab.go('/ports?port=24050');
    await page.getByText(/101\s+reserved/).waitFor();
    await said(24_050, 'kept out by the configuration');
    const card = page.getByRole('region', { name: 'Number 24050' });
    await card.getByText('The configuration keeps it out: nobody gets it.').waitFor();
    assert.equal(await card.getByRole('button').count(), 0);
    await page.getByLabel('Number to look at').fill('22001');
    await said(22_001, 'free');

    // Given back, it is kept from others, until its time is over: that is no change of the registry, and seen all the same.
    await page.getByLabel('Number to look at').fill(String(port));
    await said(port, 'leased to');
    await registry.run('port', 'release', String(id));
    await said(port, 'kept back because');
    await page.getByRole('region', { name: `Number ${port}` }).getByText(/It is kept back because .*Who had it last/).waitFor();
    await said(port, 'free');
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },
};
