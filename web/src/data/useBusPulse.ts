import { useEffect, useEffectEvent } from 'react';
import { graphql } from '~/gql';
import { follow } from './follow';
import { useConnection } from './hooks';

/** A queue long enough not to run over: what is lost here would be told in the registry's log. */
const BusPulseDocument = graphql(`
  subscription BusPulse($bus: String!) {
    busEvents(bus: $bus, queueCapacity: 100000) {
      sequence
    }
  }
`);

/** A bus's numbers move with every event; once a second is how often they are worth looking at. */
const INTERVAL_MS = 1_000;

/**
 * Calls back while events travel on these buses, once a second at most, and once more when they have stopped.
 *
 * What a bus carries is no change of the registry, so nothing else tells that its metrics are other than before.
 */
export function useBusPulse(buses: readonly string[], beat: () => void) {
  const { socket } = useConnection();
  const onBeat = useEffectEvent(beat);
  const names = buses.join('\n');
  useEffect(() => {
    if (names === '') return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    // The rate is a mean over the last seconds: it has to be looked at a little longer than events come.
    let after = 0;
    const tick = () => {
      timer = undefined;
      onBeat();
      after -= 1;
      if (after > 0) timer = setTimeout(tick, INTERVAL_MS);
    };
    const followed = names.split('\n').map((bus) =>
      follow({
        socket,
        document: BusPulseDocument,
        variables: () => ({ bus }),
        onData: () => {
          after = 6;
          timer ??= setTimeout(tick, INTERVAL_MS);
        },
        onState: () => {},
      }),
    );
    return () => {
      clearTimeout(timer);
      for (const each of followed) each.stop();
    };
  }, [socket, names]);
}
