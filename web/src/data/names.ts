import type { Client } from '@urql/core';
import { useEffect, useSyncExternalStore } from 'react';
import { useConnection } from './hooks';
import { manyRequest, TOGETHER_MAX } from './many';

/** What changes name by id alone. */
export type Named = 'node' | 'bus' | 'lease';

/**
 * What things are called, by their ids: changes name what they are about by id alone.
 *
 * Ids that are asked for together are looked up together, each once; what is not found is not asked for again.
 */
class Names {
  #client: Client;
  #names = new Map<string, string | null>();
  #wanted = new Map<string, Named>();
  #listeners = new Set<() => void>();

  constructor(client: Client) {
    this.#client = client;
  }

  listen = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  get(id: string): string | null {
    return this.#names.get(id) ?? null;
  }

  want(kind: Named, id: string) {
    if (this.#names.has(id)) return;
    this.#names.set(id, null);
    if (this.#wanted.size === 0) setTimeout(() => void this.#look(), PAUSE_MS);
    this.#wanted.set(id, kind);
  }

  async #look() {
    const [first] = this.#wanted.values();
    if (first === undefined) return;
    const asked = [...this.#wanted].filter(([, kind]) => kind === first).map(([id]) => id).slice(0, TOGETHER_MAX);
    for (const id of asked) this.#wanted.delete(id);
    if (this.#wanted.size > 0) setTimeout(() => void this.#look(), PAUSE_MS);
    const names = await this.#ask(asked, FIELDS[first]);
    const gone = first === 'node' ? asked.filter((id) => !names.has(id)) : [];
    if (gone.length > 0) for (const [id, name] of await this.#ask(gone, REGISTRATION)) names.set(id, name);
    if (names.size === 0) return;
    for (const [id, name] of names) this.#names.set(id, name);
    for (const listener of this.#listeners) listener();
  }

  async #ask(ids: readonly string[], field: (id: string) => string): Promise<Map<string, string>> {
    const { query, variables } = manyRequest(ids, field);
    const { data } = await this.#client.query<Record<string, Answer | null>>(query, variables).toPromise();
    return new Map(ids.flatMap((id, index) => {
      const answer = data?.[`n${index}`];
      const name = answer ? nameIn(answer) : null;
      return name === null ? [] : [[id, name] as const];
    }));
  }
}

const FIELDS: Record<Named, (id: string) => string> = {
  node: (id) => `node(by: {id: ${id}}) { called: name }`,
  bus: (id) => `bus(by: {id: ${id}}) { called: name }`,
  lease: (id) => `port(leaseId: ${id}) { called: port }`,
};

/** What a node was called that is gone is still in the log, unless retention took it. */
const REGISTRATION = (id: string) => `events(filter: {nodeId: ${id}, types: [NODE_REGISTERED]}, last: 1) { nodes { metadata } }`;

type Answer = { called: string | number } | { nodes: readonly { metadata: { name?: unknown } | null }[] };

function nameIn(answer: Answer): string | null {
  if ('called' in answer) return String(answer.called);
  const name = answer.nodes[0]?.metadata?.name;
  return typeof name === 'string' ? name : null;
}

const PAUSE_MS = 20;
const byClient = new WeakMap<Client, Names>();

function namesOf(client: Client): Names {
  const known = byClient.get(client);
  if (known) return known;
  const made = new Names(client);
  byClient.set(client, made);
  return made;
}

/** What something is called; null until it is known, and where it is gone. */
export function useNameOf(kind: Named, id: string | null): string | null {
  const names = namesOf(useConnection().uncached);
  useEffect(() => {
    if (id) names.want(kind, id);
  }, [names, kind, id]);
  return useSyncExternalStore(names.listen, () => (id ? names.get(id) : null));
}

export const useNodeName = (id: string | null) => useNameOf('node', id);
