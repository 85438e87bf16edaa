import { useCallback, useEffect, useEffectEvent, useMemo, useRef } from 'react';
import type { TypedDocumentNode } from '@urql/core';
import { useQuery } from 'urql';
import { faultOf, type Fault } from './errors';
import { useChanges, useStreamState, type Dependence } from './hooks';
import { Refetcher } from './refetch';

export interface LiveQueryOptions<Data, Variables> {
  query: TypedDocumentNode<Data, Variables>;
  variables: Variables;
  /** Which changes make the answer stale. Nothing else does, besides `staleAt`. */
  dependsOn: Dependence;
  /** The instant at which the answer becomes stale by itself, e.g. the first expiry that it shows: RFC 3339. */
  staleAt?: (data: Data) => string | null | undefined;
  pause?: boolean;
}

export interface LiveQuery<Data> {
  data: Data | undefined;
  fault: Fault | null;
  /** Nothing to show yet: draw the skeleton. */
  loading: boolean;
  refresh: () => void;
}

/**
 * A query that stays right: asked again when a change comes that it depends on, coalesced, without polling.
 *
 * What was shown stays until the next answer is there. Coming back to a view shows what it had, then what is.
 */
export function useLiveQuery<Data, Variables extends Record<string, unknown>>(
  options: LiveQueryOptions<Data, Variables>,
): LiveQuery<Data> {
  const { query, variables, dependsOn, staleAt, pause = false } = options;
  const [{ data, error, fetching, stale }, execute] = useQuery<Data, Variables>({
    query,
    variables,
    pause,
    requestPolicy: 'cache-and-network',
  });
  const fetchAgain = useEffectEvent(() => {
    if (!pause) execute({ requestPolicy: 'network-only' });
  });
  const refetcher = useRef<Refetcher | null>(null);
  useEffect(() => {
    const made = new Refetcher(() => fetchAgain());
    refetcher.current = made;
    return () => made.dispose();
  }, []);

  const busy = fetching || stale;
  useEffect(() => {
    if (!busy) refetcher.current?.settled();
  }, [busy, data, error]);

  const refresh = useCallback(() => refetcher.current?.request(), []);
  useChanges(dependsOn, refresh);
  useStaleAt(data === undefined ? null : staleAt?.(data), refresh);

  const fault = useMemo(() => (error ? faultOf(error) : null), [error]);
  useRefreshOnReturn(fault, refresh);
  return { data, fault, loading: data === undefined && !fault && !pause, refresh };
}

/** What failed while the registry was away is asked again when it is back. */
function useRefreshOnReturn(fault: Fault | null, refresh: () => void) {
  const isOpen = useStreamState().name === 'open';
  const onReturn = useEffectEvent(() => {
    if (fault?.retryable) refresh();
  });
  useEffect(() => {
    if (isOpen) onReturn();
  }, [isOpen]);
}

/** Past the instant by a little: the registry looks for what lapsed twice a second. */
const GRACE_MS = 700;
const TIMER_MAX_MS = 2 ** 31 - 1;

function useStaleAt(instant: string | null | undefined, refresh: () => void) {
  useEffect(() => {
    if (!instant) return;
    const wait = Date.parse(instant) - Date.now() + GRACE_MS;
    if (wait > TIMER_MAX_MS) return;
    const timer = setTimeout(refresh, Math.max(wait, GRACE_MS));
    return () => clearTimeout(timer);
  }, [instant, refresh]);
}
