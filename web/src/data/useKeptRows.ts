import { useCallback, useEffect, useEffectEvent, useRef, useState } from 'react';
import type { Client } from '@urql/core';
import type { Change } from './changes';
import type { Fault } from './errors';
import { useChanges, useConnection, type Dependence } from './hooks';
import { Refetcher } from './refetch';

export type RowsAnswer<Answer> = { answer: Answer; fault: null } | { answer: null; fault: Fault | null };

/** Where rows come from, and how to ask again for those that a change is about. A constant of the module. */
export interface RowsSource<Row> {
  dependsOn: Dependence;
  /** What a row is known by. */
  idOf: (row: Row) => string;
  /** What a row is asked for again by: several rows may share it. */
  groupOf: (row: Row) => string;
  /** The group that a change is about; empty where it is about none, null where that cannot be told and all is asked for anew. */
  groupOfChange: (change: Change) => string | null;
  page: (client: Client, after: string | null) => Promise<RowsAnswer<{ rows: readonly Row[]; next: string | null }>>;
  /** Those rows of the groups that there still are. */
  again: (client: Client, groups: readonly string[]) => Promise<RowsAnswer<readonly Row[]>>;
  /** Above so many groups at once, all is asked for anew. */
  againMax: number;
}

export interface KeptRows<Row> {
  rows: readonly Row[];
  /** Every page has come; before that there are rows as far as they have. */
  complete: boolean;
  fault: Fault | null;
  reload: () => void;
}

/** How often a list is shown while it is on its way. */
const SHOW_MS = 400;

/** Every row of a list, so that sorting and filtering answer at once, kept right by asking only for those that changed. */
export function useKeptRows<Row>(source: RowsSource<Row>): KeptRows<Row> {
  const { uncached } = useConnection();
  const [state, setState] = useState<Omit<KeptRows<Row>, 'reload'>>({ rows: [], complete: false, fault: null });
  const byId = useRef(new Map<string, Row>());
  const changed = useRef(new Set<string>());
  const all = useRef(true);
  const refetcher = useRef<Refetcher | null>(null);

  const show = useEffectEvent((complete: boolean, fault: Fault | null) => setState({ rows: [...byId.current.values()], complete, fault }));

  useEffect(() => {
    let over = false;

    const loadAll = async () => {
      const fresh = new Map<string, Row>();
      let after: string | null = null;
      let shownAt = -Infinity;
      do {
        const { answer, fault }: Awaited<ReturnType<typeof source.page>> = await source.page(uncached, after);
        if (over) return;
        if (!answer) {
          show(false, fault);
          return;
        }
        for (const row of answer.rows) fresh.set(source.idOf(row), row);
        after = answer.next;
        // The first page shows at once and the others now and then, since all rows are sorted each time; a reload swaps in
        // when it is whole.
        if (byId.current.size <= fresh.size && performance.now() - shownAt > SHOW_MS) {
          byId.current = new Map(fresh);
          show(false, null);
          shownAt = performance.now();
        }
      } while (after !== null);
      byId.current = fresh;
      show(true, null);
    };

    const loadAgain = async (groups: readonly string[]) => {
      const { answer, fault } = await source.again(uncached, groups);
      if (over) return;
      if (!answer) {
        show(true, fault);
        return;
      }
      const asked = new Set(groups);
      const fresh = new Map<string, Row>();
      for (const row of answer) fresh.set(source.idOf(row), row);
      for (const [id, row] of byId.current) {
        if (asked.has(source.groupOf(row)) && !fresh.has(id)) byId.current.delete(id);
      }
      // A row that was there keeps its place.
      for (const [id, row] of fresh) byId.current.set(id, row);
      show(true, null);
    };

    const made = new Refetcher(() => {
      const groups = [...changed.current];
      changed.current.clear();
      const whole = all.current || groups.length > source.againMax;
      all.current = false;
      void (whole ? loadAll() : loadAgain(groups)).finally(() => made.settled());
    });
    refetcher.current = made;
    all.current = true;
    made.request();
    return () => {
      over = true;
      made.dispose();
    };
  }, [uncached, source]);

  const reload = useCallback(() => {
    all.current = true;
    refetcher.current?.request();
  }, []);

  useChanges(source.dependsOn, (batch) => {
    for (const change of batch ?? [null]) {
      const group = change && source.groupOfChange(change);
      if (group === null) all.current = true;
      else if (group !== '') changed.current.add(group);
    }
    if (all.current || changed.current.size > 0) refetcher.current?.request();
  });

  return { ...state, reload };
}
