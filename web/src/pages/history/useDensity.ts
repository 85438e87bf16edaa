import { useEffect, useState } from 'react';
import { useChanges, useConnection } from '~/data/hooks';
import { FirstChangeDocument } from './queries';
import type { LogFilter } from './useFilter';

/** As many as one request may ask for, and a screen shows well. */
export const BUCKETS = 48;

export interface Density {
  from: number;
  to: number;
  counts: readonly number[];
}

/** How many changes there were in each part of the time that the filter leaves, the oldest first. */
export function useDensity(filter: LogFilter | null): Density | null {
  const { uncached } = useConnection();
  const [density, setDensity] = useState<Density | null>(null);
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    if (!filter) return;
    const stop = new AbortController();
    const over = () => stop.signal.aborted;
    const load = async () => {
      const { asked } = filter;
      const first = (await uncached.query(FirstChangeDocument, { filter: asked }).toPromise()).data?.events.nodes[0]?.time;
      if (over()) return;
      if (first === undefined) {
        setDensity(null);
        return;
      }
      const from = asked.since ? Date.parse(asked.since) : Date.parse(first);
      // To the next whole second at least, so that a part is never empty.
      const to = Math.max(asked.until ? Math.min(Date.parse(asked.until), Date.now()) : Date.now(), from + BUCKETS * 10);
      const variables = Object.fromEntries(Array.from({ length: BUCKETS }, (_, index) => [
        `f${index}`,
        { ...asked, since: instant(from, to, index), until: instant(from, to, index + 1) },
      ]));
      const { data } = await uncached.query<Record<string, { totalCount: number }>>(QUERY, variables).toPromise();
      if (!over() && data) setDensity({ from, to, counts: Array.from({ length: BUCKETS }, (_, index) => data[`b${index}`]?.totalCount ?? 0) });
    };
    void load();
    return () => stop.abort();
  }, [uncached, filter, turn]);

  // What comes live is counted to the last part, until the time has gone on by one.
  useChanges(filter?.keep ?? nothing, (batch) => {
    if (batch === null || (density && Date.now() > density.to + (density.to - density.from) / BUCKETS)) setTurn((before) => before + 1);
    else setDensity((before) => before && { ...before, counts: before.counts.with(-1, (before.counts.at(-1) ?? 0) + batch.length) });
  });
  return density;
}

const nothing = () => false;

export function instant(from: number, to: number, index: number): string {
  return new Date(from + ((to - from) * index) / BUCKETS).toISOString();
}

const NAMES = Array.from({ length: BUCKETS }, (_, index) => index);
const QUERY = `query Density(${NAMES.map((index) => `$f${index}: EventFilter`).join(', ')}) { ${NAMES.map((index) => `b${index}: events(filter: $f${index}, first: 0) { totalCount }`).join(' ')} }`;
