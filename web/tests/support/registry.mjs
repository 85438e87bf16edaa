import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How long anything may take that a test waits for, on a machine that does other things as well. */
export const DEADLINE_MS = 90_000;

/** Waits until something holds; a test never waits for a duration. */
export async function until(what, holds, deadline = DEADLINE_MS) {
  const end = performance.now() + deadline;
  let last;
  for (;;) {
    try {
      const value = await holds();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`${what} did not come about in ${deadline} ms${last ? `: ${last.message}` : ''}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A registry with a data directory of its own. */
export class Registry {
  #onex;
  #options;
  #process;
  #output = '';
  #children = [];

  constructor(onex, options = {}) {
    this.#onex = onex;
    this.#options = options;
  }

  static async start(onex, options) {
    const registry = new Registry(onex, options);
    registry.dataDir = await mkdtemp(join(tmpdir(), 'onex-web-'));
    await registry.serve('127.0.0.1:0');
    return registry;
  }

  /** Runs the server; at the same address again after `stop`. */
  async serve(listen = new URL(this.url).host) {
    this.#output = '';
    const args = ['serve', '--listen', listen, '--data-dir', this.dataDir, '--portserver', 'off', ...(this.#options.args ?? [])];
    const child = spawn(this.#onex, args, { env: { ...process.env, ...this.#options.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (this.#output += text));
    this.url = await until('the registry', () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${this.#output}`);
      const address = /GraphQL\s+(http:\/\/\S+)\/graphql/.exec(this.#output)?.[1];
      return address ?? null;
    });
  }

  async stop() {
    const child = this.#process;
    if (child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }

  /** Takes its time from it: connections are still taken by the system, and nothing answers. */
  hang() {
    this.#process.kill('SIGSTOP');
  }

  goOn() {
    this.#process.kill('SIGCONT');
  }

  async dispose() {
    for (const child of this.#children) child.kill('SIGTERM');
    this.goOn();
    await this.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  /** A command of `onex` against this registry; answers its standard output. */
  run(...args) {
    return new Promise((resolve, reject) => {
      const child = spawn(this.#onex, args, { env: this.#env(), stdio: ['ignore', 'pipe', 'pipe'] });
      let out = '';
      let err = '';
      child.stdout.on('data', (text) => (out += text));
      child.stderr.on('data', (text) => (err += text));
      child.once('exit', (code) => (code === 0 ? resolve(out) : reject(new Error(`onex ${args.join(' ')} ended with ${code}: ${err}`))));
    });
  }

  /** A command that runs until the registry is disposed of, as `node run` does. */
  keep(...args) {
    const child = spawn(this.#onex, args, { env: this.#env(), stdio: 'ignore' });
    this.#children.push(child);
    return child;
  }

  async ask(query, variables = {}) {
    const headers = { 'Content-Type': 'application/json' };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const answer = await fetch(`${this.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
    const { data, errors } = await answer.json();
    if (errors) throw new Error(errors.map((error) => error.message).join('; '));
    return data;
  }

  register(input) {
    return this.ask('mutation ($input: RegisterInput!) { register(input: $input) { node { id name } } }', { input }).then((data) => data.register.node);
  }

  #env() {
    return { ...process.env, ONEX_SERVER: this.url, ...(this.token ? { ONEX_TOKEN: this.token } : {}) };
  }
}
