import { createContext, use, useEffect, useEffectEvent, useMemo, useState, useSyncExternalStore } from 'react';
import type { TypedDocumentNode } from '@urql/core';
import { useMutation } from 'urql';
import type { EventType } from '~/gql/enums';
import type { Change, ChangesSnapshot } from './changes';
import { useSecond } from '~/lib/clock';
import type { Connection } from './connection';
import { faultOf, type Fault } from './errors';
import { isLost, type StreamState } from './follow';

export const ConnectionContext = createContext<Connection | null>(null);

export function useConnection(): Connection {
  const connection = use(ConnectionContext);
  if (!connection) throw new Error('there is no connection around this part of the page');
  return connection;
}

/** Which changes something depends on: their types, or whatever a function says. */
export type Dependence = readonly EventType[] | ((change: Change) => boolean);

export function concerns(dependence: Dependence, change: Change): boolean {
  return typeof dependence === 'function' ? dependence(change) : dependence.includes(change.type);
}

/** Calls back with those changes that matter, in batches, in order; with null where everything is to be asked anew. */
export function useChanges(dependence: Dependence, handle: (batch: readonly Change[] | null) => void) {
  const { changes } = useConnection();
  const take = useEffectEvent((batch: readonly Change[] | null) => {
    const matching = batch?.filter((change) => concerns(dependence, change)) ?? null;
    if (matching === null || matching.length > 0) handle(matching);
  });
  useEffect(() => changes.listen((batch) => take(batch)), [changes]);
}

/** The last place seen, and the latest changes, the latest first. */
export function useChangesSnapshot(): ChangesSnapshot {
  const { changes } = useConnection();
  return useSyncExternalStore(changes.watch, changes.snapshot);
}

export function useStreamState(): StreamState {
  const { changes } = useConnection();
  return useSyncExternalStore(changes.watch, changes.state);
}

/** Whether the connection is gone for longer than a moment. */
export function useIsLost(): boolean {
  return isLost(useStreamState());
}

/** How many changes of these types came in each of the last seconds, the oldest first; anew every second. */
export function usePerSecond(types: readonly EventType[] | null, seconds = 60): number[] {
  const { changes } = useConnection();
  const now = useSecond();
  // The second is what the answer depends on, though the stream looks at the clock itself.
  return useMemo(() => (now > 0 ? changes.perSecond(types, seconds) : []), [changes, types, seconds, now]);
}

export type ActionResult<Data> = { data: Data; fault: null } | { data: null; fault: Fault };

/** A mutation whose answer is either data or a fault that can be shown. */
export function useAction<Data, Variables extends Record<string, unknown>>(
  document: TypedDocumentNode<Data, Variables>,
): { run: (variables: Variables) => Promise<ActionResult<Data>>; running: boolean; fault: Fault | null; clear: () => void } {
  const [{ fetching }, execute] = useMutation<Data, Variables>(document);
  const [fault, setFault] = useState<Fault | null>(null);
  const run = async (variables: Variables): Promise<ActionResult<Data>> => {
    const result = await execute(variables);
    if (result.error || !result.data) {
      const found: Fault = result.error
        ? faultOf(result.error)
        : { code: 'UNKNOWN', message: 'The registry gave no answer.', hint: null, details: null, retryable: true };
      setFault(found);
      return { data: null, fault: found };
    }
    setFault(null);
    return { data: result.data, fault: null };
  };
  return { run, running: fetching, fault, clear: () => setFault(null) };
}
