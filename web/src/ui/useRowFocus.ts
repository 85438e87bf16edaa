import { useLayoutEffect, useRef, type RefObject } from 'react';

export interface RowFocus {
  /** The row that a key counts from which was pressed at a row: the one that is being gone to, where there is one. */
  from: (index: number) => number;
  /** Goes to a row: at once where it is drawn, else as soon as it is. */
  go: (index: number) => void;
  /** Somebody has put the focus somewhere else meanwhile. */
  stay: () => void;
}

/**
 * Leads the focus through a list of which only the rows in view are in the page, each with its place as `data-index`.
 * Keys may be pressed faster than rows are drawn: none of them is lost.
 */
export function useRowFocus(scroller: RefObject<HTMLElement | null>): RowFocus {
  const wanted = useRef<number | null>(null);
  const take = () => {
    if (wanted.current === null) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-index="${wanted.current}"]`);
    if (!row) return;
    wanted.current = null;
    row.focus();
  };
  // After every drawing: any may have brought the row.
  useLayoutEffect(take);
  return {
    from: (index) => wanted.current ?? index,
    go: (index) => {
      wanted.current = index;
      take();
    },
    stay: () => {
      wanted.current = null;
    },
  };
}
