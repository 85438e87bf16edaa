import { useCallback, useEffect, useRef, useState } from 'react';
import type { Change } from '~/data/changes';
import { faultOf, type Fault } from '~/data/errors';
import { useChanges, useConnection } from '~/data/hooks';
import type { LogPageQueryVariables } from '~/gql/graphql';
import { InstantDocument, LogPageDocument } from './queries';
import type { LogFilter } from './useFilter';
import { EMPTY, justAfter, justBefore, trimmed, withLive, withNewer, withOlder, type Edge, type LogPage, type LogWindow } from './window';

const PAGE = 200;
/** As many entries are kept; beyond, those farthest from where one looks go. */
const KEPT = 4_000;

export interface Log {
  window: LogWindow;
  loading: 'first' | 'older' | 'newer' | null;
  fault: Fault | null;
  older: () => void;
  newer: () => void;
  /** From now on, or around a place. */
  begin: (around: number | null) => void;
}

/** A piece of the log that grows at both ends as one scrolls, and live where it reaches up to now. */
export function useLog(filter: LogFilter | null, around: number | null): Log {
  const { uncached } = useConnection();
  const [window, setWindow] = useState<LogWindow>(EMPTY);
  const [loading, setLoading] = useState<Log['loading']>('first');
  const [fault, setFault] = useState<Fault | null>(null);
  const [start, setStart] = useState<{ turn: number; around: number | null }>({ turn: 0, around });
  /** What came live while a page was on its way. */
  const waiting = useRef<Change[]>([]);
  const current = useRef(EMPTY);
  const busy = useRef(true);

  const ask = useCallback(async (variables: LogPageQueryVariables): Promise<LogPage> => {
    const { data, error } = await uncached.query(LogPageDocument, variables).toPromise();
    if (!data) throw error ?? new Error('no answer');
    const { edges, pageInfo } = data.events;
    return {
      entries: edges.map(({ cursor, node }) => ({ cursor, change: node })),
      hasPrevious: pageInfo.hasPreviousPage, hasNext: pageInfo.hasNextPage, start: pageInfo.startCursor, end: pageInfo.endCursor,
    };
  }, [uncached]);

  const show = useCallback((next: LogWindow) => {
    const live = next.newer === null && filter ? withLive(next, waiting.current, filter.keep) : next;
    waiting.current = [];
    current.current = live;
    setWindow(live);
  }, [filter]);

  useEffect(() => {
    if (!filter) return;
    let over = false;
    const load = async () => {
      busy.current = true;
      setLoading('first');
      setFault(null);
      try {
        const next = await beginning(ask, filter, start.around, async (sequence) => (await uncached.query(InstantDocument, { sequence }).toPromise()).data?.at.time ?? null);
        if (!over) show(next);
      } catch (error) {
        if (!over) setFault(faultOfAny(error));
      } finally {
        if (!over) {
          busy.current = false;
          setLoading(null);
        }
      }
    };
    void load();
    return () => {
      over = true;
    };
  }, [filter, start, ask, show, uncached]);

  const grow = async (side: 'older' | 'newer') => {
    if (busy.current || !filter) return;
    busy.current = true;
    setLoading(side);
    try {
      show(trimmed(await grown(ask, filter, current.current, side), KEPT, side === 'older' ? 'newer' : 'older'));
      setFault(null);
    } catch (error) {
      setFault(faultOfAny(error));
    } finally {
      busy.current = false;
      setLoading(null);
    }
  };

  useChanges(filter?.keep ?? nothing, (batch) => {
    if (batch === null) setStart(({ turn }) => ({ turn: turn + 1, around: null }));
    else if (busy.current) waiting.current.push(...batch);
    else if (current.current.newer === null) {
      waiting.current = [...batch];
      show(trimmed(current.current, KEPT, 'older'));
    }
  });

  const begin = (place: number | null) => setStart(({ turn }) => ({ turn: turn + 1, around: place }));
  return { window, loading, fault, older: () => void grow('older'), newer: () => void grow('newer'), begin };
}

const nothing = () => false;

type Ask = (variables: LogPageQueryVariables) => Promise<LogPage>;

async function beginning(ask: Ask, filter: LogFilter, around: number | null, instantOf: (sequence: number) => Promise<string | null>): Promise<LogWindow> {
  const instant = around === null ? null : await instantOf(around);
  if (instant === null) {
    const page = await ask({ filter: filter.asked, last: PAGE });
    return withOlder(EMPTY, page);
  }
  const { since, until } = filter.asked;
  const middle = justAfter(instant);
  const [before, after] = await Promise.all([
    ask({ filter: { ...filter.asked, until: earlier(until ?? null, middle) }, last: PAGE }),
    ask({ filter: { ...filter.asked, since: later(since ?? null, justBefore(instant)) }, first: PAGE }),
  ]);
  return withNewer(withOlder(EMPTY, before), after);
}

async function grown(ask: Ask, filter: LogFilter, window: LogWindow, side: 'older' | 'newer'): Promise<LogWindow> {
  const edge = window[side];
  if (!edge) return window;
  return side === 'older'
    ? withOlder(window, await ask({ filter: filter.asked, last: PAGE, ...beyond(filter, edge, side) }))
    : withNewer(window, await ask({ filter: filter.asked, first: PAGE, ...beyond(filter, edge, side) }));
}

function beyond(filter: LogFilter, edge: Edge, side: 'older' | 'newer'): LogPageQueryVariables {
  const { asked } = filter;
  if ('cursor' in edge) return side === 'older' ? { before: edge.cursor } : { after: edge.cursor };
  return side === 'older'
    ? { filter: { ...asked, until: earlier(asked.until ?? null, justAfter(edge.time)) } }
    : { filter: { ...asked, since: later(asked.since ?? null, justBefore(edge.time)) } };
}

function earlier(a: string | null, b: string): string {
  return a !== null && Date.parse(a) < Date.parse(b) ? a : b;
}

function later(a: string | null, b: string): string {
  return a !== null && Date.parse(a) > Date.parse(b) ? a : b;
}

function faultOfAny(error: unknown): Fault {
  if (error instanceof Error && 'graphQLErrors' in error) return faultOf(error as Parameters<typeof faultOf>[0]);
  return { code: 'UNKNOWN', message: 'The history could not be read.', hint: null, details: null, retryable: true };
}
