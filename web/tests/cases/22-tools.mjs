import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { becomes } from '../support/look.mjs';
import { until } from '../support/registry.mjs';

/** A tool whose schema has choices, bounds, an object in an object and a list. */
const QUOTE = {
  name: 'quote_parcel',
  description: 'What it costs to send something.',
  idempotent: true,
  input_schema: {
    type: 'object',
    required: ['destination', 'weight', 'speed'],
    additionalProperties: false,
    properties: {
      destination: { type: 'string', minLength: 2, description: 'A city.' },
      weight: { type: 'number', exclusiveMinimum: 0, maximum: 30, description: 'In kilograms.' },
      speed: { type: 'string', enum: ['economy', 'express'] },
      insured: { type: 'object', required: ['value'], properties: { value: { type: 'integer', minimum: 1 } } },
      labels: { type: 'array', items: { type: 'string' }, maxItems: 3 },
    },
  },
  output_schema: { type: 'object', required: ['price'], properties: { price: { type: 'number' } } },
};

/** A node that runs a command for each call of the tool; answers its process when it takes calls. */
async function provider(registry, name, tool, command) {
  const file = join(registry.dataDir, `${name}.contract.json`);
  await writeFile(file, JSON.stringify({ name, node_type: 'tool', version: '1.0.0', tools: [tool] }));
  const child = registry.keep('node', 'run', '--contract', file, '--', 'sh', '-c', command);
  await until(`the provider ${name}`, async () => {
    const found = await registry.ask('query ($name: String!) { tool(name: $name) { providers { node { name } healthy } } }', { name: tool.name });
    return found.tool?.providers.some((each) => each.node.name === name && each.healthy);
  });
  return child;
}

async function openTool({ base, open }, name) {
  const tab = await open(base);
  await tab.go(`/tools/${name}`);
  await tab.page.getByRole('button', { name: 'Call', exact: true }).waitFor();
  return tab;
}

const attemptsOf = (answer) => answer.locator('section').filter({ has: answer.page().getByRole('heading', { name: 'Attempts' }) }).getByRole('listitem');
const resultOf = (answer) => answer.getByRole('region', { name: 'Result', exact: true });
const answerOf = (page) => page.getByRole('region', { name: 'Answer', exact: true });

export const cases = {
  'a tool is called by its form: what is wrong is said, what came of it is shown with time, attempt and events': async (world) => {
    const { registry } = world;
    await provider(registry, 'depot_clerk', QUOTE, 'jq "{price: (.weight * (if .speed == \\"express\\" then 4 else 2 end) + (.insured.value // 0) / 100), for: .destination, labels: .labels}"');
    const tab = await openTool(world, 'quote_parcel');
    const { page } = tab;
    const form = page.locator('form').filter({ has: page.getByRole('button', { name: 'Call', exact: true }) });

    // Nothing is sent that does not fit.
    await form.getByRole('button', { name: 'Call', exact: true }).click();
    await form.getByText(/required|needed|has to/i).first().waitFor();
    await page.getByText('Nothing was called yet').waitFor();
    await form.getByLabel('destination').fill('Oslo');
    await form.getByLabel('weight').fill('31');
    await form.getByLabel('speed').selectOption({ label: 'express' });
    await form.getByRole('button', { name: 'Call', exact: true }).click();
    await form.getByText(/30/).first().waitFor();
    assert.equal((await registry.ask('{ invocations(filter: {tool: "quote_parcel"}) { totalCount } }')).invocations.totalCount, 0);

    await form.getByLabel('weight').fill('2.5');
    await form.getByRole('group', { name: /insured/ }).getByRole('button', { name: 'Add' }).click();
    await form.getByLabel(/^value/).fill('500');

    await form.getByRole('button', { name: 'Dry run' }).click();
    await page.getByRole('heading', { name: 'What would happen' }).waitFor();
    await page.getByText('depot_clerk').filter({ visible: true }).first().waitFor();
    assert.equal((await registry.ask('{ invocations(filter: {tool: "quote_parcel", status: SUCCEEDED}) { totalCount } }')).invocations.totalCount, 0);

    await form.getByRole('button', { name: 'Call', exact: true }).click();
    const answer = answerOf(page);
    await answer.getByText('Succeeded', { exact: true }).waitFor();
    await becomes(() => resultOf(answer).innerText(), /"price":\s*15\b[\s\S]*"for":\s*"Oslo"/);
    await becomes(() => answer.innerText(), /in\s+[\d.,]+ (ms|s)/);
    await becomes(() => attemptsOf(answer).count(), 1);
    const events = answer.getByRole('list', { name: 'Events of the call' });
    await events.getByRole('listitem').nth(1).waitFor();

    const call = (await registry.ask('{ invocations(filter: {tool: "quote_parcel", status: SUCCEEDED}) { nodes { arguments } } }')).invocations.nodes;
    assert.deepEqual(call.map((each) => each.arguments), [{ destination: 'Oslo', weight: 2.5, speed: 'express', insured: { value: 500 } }]);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a provider that dies under a call shows as an attempt, and the answer of another beneath it': async (world) => {
    const { registry } = world;
    const tool = { ...QUOTE, name: 'weigh', input_schema: { type: 'object', properties: { parcel: { type: 'string' } } }, output_schema: null };
    const first = await provider(registry, 'old_scale', tool, 'sleep 600');
    await provider(registry, 'new_scale', tool, 'echo 7');
    const tab = await openTool(world, 'weigh');
    const { page } = tab;
    await page.getByText('How it is called').click();
    await page.getByLabel('Of several providers').selectOption({ label: 'The first that offered it' });
    await page.getByRole('button', { name: 'Call', exact: true }).click();
    const answer = answerOf(page);
    await answer.getByRole('link', { name: 'old_scale' }).first().waitFor();
    await answer.getByRole('button', { name: 'Cancel' }).waitFor();
    first.kill('SIGKILL');
    await answer.getByText('Succeeded', { exact: true }).waitFor();
    const attempts = attemptsOf(answer);
    await becomes(() => attempts.count(), 2);
    await becomes(() => attempts.nth(1).innerText(), /new_scale[\s\S]*succeeded/);
    await becomes(() => resultOf(answer).innerText(), /7/);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'a call that is cancelled says so at once': async (world) => {
    await provider(world.registry, 'night_watch', { name: 'wait_long', input_schema: { type: 'object' } }, 'sleep 600');
    const tab = await openTool(world, 'wait_long');
    await tab.page.getByRole('button', { name: 'Call', exact: true }).click();
    await answerOf(tab.page).getByRole('button', { name: 'Cancel' }).click();
    await answerOf(tab.page).getByText('Cancelled', { exact: true }).waitFor();
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },

  'what is copied calls the tool: as GraphQL, as curl and as a command': async (world) => {
    const tab = await openTool(world, 'shout');
    const { page } = tab;
    await page.getByLabel('Arguments as JSON').fill('{"text": "it\'s copied"}');
    const shown = async (name) => {
      await page.getByRole('tab', { name }).click();
      return page.getByRole('tabpanel', { name }).locator('pre').innerText();
    };
    const query = await shown('GraphQL');
    const { proxyInvoke } = await world.registry.ask(query);
    assert.equal(proxyInvoke.status, 'SUCCEEDED');
    assert.match(await shown('curl'), /^curl /);
    assert.match(await shown('onex'), /^onex proxy-invoke /);
    assert.deepEqual(tab.problems(), []);
    await tab.close();
  },
};
