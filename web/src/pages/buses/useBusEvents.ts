import { useEffect, useState } from 'react';
import { faultFrom, type Fault } from '~/data/errors';
import { follow } from '~/data/follow';
import { useConnection } from '~/data/hooks';
import type { BusEventFilter, BusEventsSubscription, ReplayInput } from '~/gql/graphql';
import { BusEventsDocument } from './queries';

export type BusEvent = BusEventsSubscription['busEvents'];

export interface EventsWanted {
  bus: string;
  topics: readonly string[];
  where: BusEventFilter;
  replay: ReplayInput | null;
}

export interface BusEvents {
  /** The latest first. */
  events: readonly BusEvent[];
  /** How many came since the filters are these. */
  total: number;
  /** How many the registry says were lost on the way here. */
  missed: number;
  fault: Fault | null;
}

/** The latest events that are kept for the list. */
const KEPT_MAX = 2_000;
/** How often the list is drawn at most. */
const FLUSH_MS = 100;

const NOTHING: BusEvents = { events: [], total: 0, missed: 0, fault: null };

/**
 * The events of a bus that fit, as they travel; first those of the past that are asked for.
 *
 * After a lost connection it goes on behind the last place that was seen. `key` names what is wanted: another begins anew.
 */
export function useBusEvents(wanted: EventsWanted, key: string, pause: boolean): BusEvents {
  const { socket } = useConnection();
  const [state, setState] = useState<BusEvents & { key: string }>({ ...NOTHING, key });
  useEffect(() => {
    if (pause) return;
    let waiting: BusEvent[] = [];
    let last: number | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const add = (batch: readonly BusEvent[]) =>
      setState((before) => {
        const from = before.key === key ? before : { ...NOTHING, key };
        return {
          key,
          events: [...batch.toReversed(), ...from.events].slice(0, KEPT_MAX),
          total: from.total + batch.length,
          missed: from.missed + batch.reduce((sum, event) => sum + event.missed, 0),
          fault: null,
        };
      });
    const flush = () => {
      timer = undefined;
      add(waiting);
      waiting = [];
    };
    add([]);
    const following = follow({
      socket,
      document: BusEventsDocument,
      variables: () => ({
        bus: wanted.bus,
        topics: [...wanted.topics],
        where: wanted.where,
        replay: last === null ? wanted.replay : { sinceSequence: last },
      }),
      onData: ({ busEvents }) => {
        last = busEvents.sequence;
        waiting.push(busEvents);
        timer ??= setTimeout(flush, FLUSH_MS);
      },
      onState: (stream) => {
        if (stream.name === 'ended' && stream.fault) {
          const fault = faultFrom(stream.fault);
          setState((before) => ({ ...before, fault }));
        }
      },
    });
    return () => {
      following.stop();
      clearTimeout(timer);
    };
    // What is wanted is an object made anew by each render; its key says whether it is another.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [socket, key, pause]);
  return state.key === key ? state : NOTHING;
}
