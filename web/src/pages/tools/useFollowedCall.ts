import { useEffect, useRef, useState } from 'react';
import { faultFrom, type Fault } from '~/data/errors';
import { follow } from '~/data/follow';
import { useConnection } from '~/data/hooks';
import type { InvocationStatus } from '~/gql/enums';
import type { CallDetailsFragment as CallDetails } from '~/gql/graphql';
import { CallUpdatesDocument } from './queries';

export type { CallDetails };

const UNDER_WAY: readonly InvocationStatus[] = ['PENDING', 'ROUTED', 'RUNNING'];

export function isUnderWay(status: InvocationStatus): boolean {
  return UNDER_WAY.includes(status);
}

/** Steps of a call that come within this time are shown as one. */
const BATCH_MS = 100;

/** A call as it goes on, from what is known of it. */
export function useFollowedCall(id: string, known: CallDetails | null): { call: CallDetails | null; fault: Fault | null } {
  const { socket } = useConnection();
  const [seen, setSeen] = useState<{ id: string; call: CallDetails | null; fault: Fault | null }>({ id, call: null, fault: null });
  const latest = useRef<CallDetails | null>(null);
  const ended = known !== null && known.id === id && !isUnderWay(known.status);

  useEffect(() => {
    if (ended) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      setSeen({ id, call: latest.current, fault: null });
    };
    latest.current = null;
    const following = follow({
      socket,
      document: CallUpdatesDocument,
      variables: () => ({ id }),
      onData: ({ invocationUpdates: call }) => {
        latest.current = call;
        timer ??= setTimeout(show, isUnderWay(call.status) ? BATCH_MS : 0);
      },
      onState: (state) => {
        if (state.name === 'ended' && state.fault) setSeen({ id, call: latest.current, fault: faultFrom(state.fault) });
      },
    });
    return () => {
      clearTimeout(timer);
      following.stop();
    };
  }, [socket, id, ended]);

  if (seen.id === id && (seen.call || seen.fault)) return seen;
  return { call: known?.id === id ? known : null, fault: null };
}
