import { useEffect, useEffectEvent, useState } from 'react';
import { graphql } from '~/gql';
import type { BusMetricsSubscription } from '~/gql/graphql';
import { follow } from './follow';
import { useConnection } from './hooks';

export type BusMetrics = BusMetricsSubscription['busMetrics'];

const BusMetricsDocument = graphql(`
  subscription BusMetrics($bus: String!) {
    busMetrics(bus: $bus, everyMs: 1000) {
      published
      delivered
      dropped
      invalid
      retried
      bytes
      subscriberCount
      messagesPerSecond
      p50LatencyMs
      p99LatencyMs
    }
  }
`);

/** What comes of several buses within this time is drawn as one. */
const TOGETHER_MS = 100;

/**
 * What these buses have to do, by their names, as it changes: once a second at most. Who watches it does not listen.
 *
 * `onChange` is for what else moves with the events, such as how far each subscriber is.
 */
export function useBusMetrics(buses: readonly string[], onChange?: () => void): ReadonlyMap<string, BusMetrics> {
  const { socket } = useConnection();
  const [metrics, setMetrics] = useState<ReadonlyMap<string, BusMetrics>>(() => new Map());
  const tell = useEffectEvent(() => onChange?.());
  const names = buses.join('\n');
  useEffect(() => {
    if (names === '') return;
    const known = new Map<string, BusMetrics>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      setMetrics(new Map(known));
      tell();
    };
    const followed = names.split('\n').map((bus) =>
      follow({
        socket,
        document: BusMetricsDocument,
        variables: () => ({ bus }),
        onData: ({ busMetrics }) => {
          known.set(bus, busMetrics);
          timer ??= setTimeout(show, TOGETHER_MS);
        },
        onState: () => {},
      }),
    );
    return () => {
      clearTimeout(timer);
      for (const each of followed) each.stop();
    };
  }, [socket, names]);
  return metrics;
}

/** Buses with the metrics that came last, which are newer than those that they were asked for with. */
export function withMetrics<Bus extends { name: string; metrics: object }>(buses: readonly Bus[], live: ReadonlyMap<string, BusMetrics>): readonly Bus[] {
  if (live.size === 0) return buses;
  return buses.map((bus) => ({ ...bus, metrics: live.get(bus.name) ?? bus.metrics }));
}
