import { useEffect, useMemo, useState } from 'react';
import type { Layout, LayoutInput } from './shape';
import type { GraphModel } from './model';

export interface Arranged {
  signature: string;
  layout: Layout;
}

/** The last few layouts: coming back to the view shows the picture at once. */
const kept = new Map<string, Layout>();
const KEPT_MAX = 8;

function started(): Worker {
  return new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' });
}

/** The first one starts while the graph is asked for. */
let spare: Worker | null = started();

/**
 * Where everything is, found by a worker. What was there stays until the next is; nothing is asked for where only the
 * state of nodes changed.
 */
export function useLayout(model: GraphModel | null, withAlone: boolean): { arranged: Arranged | null; working: boolean } {
  const input = useMemo(() => (model ? inputOf(model, withAlone) : null), [model, withAlone]);
  const signature = useMemo(() => (input ? signatureOf(input) : null), [input]);
  const [arranged, setArranged] = useState<Arranged | null>(null);
  const known = signature === null ? undefined : kept.get(signature);

  useEffect(() => {
    if (signature === null || input === null || kept.has(signature)) return;
    const worker = spare ?? started();
    spare = null;
    worker.addEventListener('message', (event: MessageEvent<Layout>) => {
      keep(signature, event.data);
      setArranged({ signature, layout: event.data });
      worker.terminate();
    });
    worker.postMessage(input);
    return () => worker.terminate();
    // The signature says all that matters of the input.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [signature]);

  const current = useMemo(() => (signature !== null && known ? { signature, layout: known } : arranged), [signature, known, arranged]);
  return { arranged: current, working: signature !== null && current?.signature !== signature };
}

function keep(signature: string, layout: Layout) {
  kept.set(signature, layout);
  const [oldest] = kept.keys();
  if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest);
}

function inputOf(model: GraphModel, withAlone: boolean): LayoutInput {
  const alone = new Set(model.alone);
  return {
    ids: [...model.items.keys()].filter((id) => withAlone || !alone.has(id)),
    links: model.links.map(({ key, from, to }) => ({ key, from, to })),
  };
}

function signatureOf({ ids, links }: LayoutInput): string {
  return `${ids.join(' ')}|${links.map((link) => link.key).join(' ')}`;
}
