import type { CombinedError } from '@urql/core';
import { useEffect, useState } from 'react';
import { useQuery } from 'urql';
import { faultOf, type Fault } from '~/data/errors';
import { useConnection } from '~/data/hooks';
import { OldestDocument } from './queries';
import { loadSnapshot, momentOf, type Snapshot } from './snapshot';

/** A moment while a slider moves: only where it rests is asked for. */
const REST_MS = 120;

export interface Reading {
  snapshot: Snapshot | null;
  /** What is shown is of another moment: the asked one is on its way. */
  loading: boolean;
  fault: Fault | null;
}

/** The registry as it was; what was shown stays until what is asked for is there. Null: nothing is asked. */
export function useSnapshot(text: string | null): Reading {
  const { uncached } = useConnection();
  const [state, setState] = useState<{ text: string | null; snapshot: Snapshot | null; fault: Fault | null }>({ text: null, snapshot: null, fault: null });
  useEffect(() => {
    const moment = text === null ? null : momentOf(text);
    if (!moment) return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      loadSnapshot(uncached, moment, stop.signal).then(
        (snapshot) => !stop.signal.aborted && setState({ text, snapshot, fault: null }),
        (error: unknown) => !stop.signal.aborted && setState((before) => ({ text, snapshot: before.snapshot, fault: faultOf(error as CombinedError) })),
      );
    }, REST_MS);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [uncached, text]);
  return { snapshot: state.snapshot, fault: state.text === text ? state.fault : null, loading: text !== null && state.text !== text };
}

/** The oldest place that can be looked at: what lies before it, retention has summed up. */
export function useOldest(): number {
  const [{ data }] = useQuery({ query: OldestDocument, variables: {}, requestPolicy: 'cache-and-network' });
  return data?.registry.oldestSequence ?? 0;
}
