import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown, ArrowUp } from 'lucide-react';
import { memo, useMemo, useRef, useState, type KeyboardEvent, type MouseEvent, type ReactNode } from 'react';
import { classes } from '~/lib/classes';
import styles from './Table.module.css';
import { useRowFocus } from './useRowFocus';

export interface Column<Row> {
  key: string;
  title: string;
  cell: (row: Row) => ReactNode;
  /** A track of the grid: '120px', 'minmax(160px, 2fr)'. Default minmax(90px, 1fr). */
  width?: string;
  align?: 'end';
  /** What to sort by. Without it the column cannot be sorted. */
  sortBy?: (row: Row) => string | number | null;
  /** Left out where the table is narrow: 2 below 720 px, 1 below 1,000 px. */
  hideBelow?: 1 | 2;
}

export interface Sort {
  key: string;
  descending: boolean;
}

export interface TableProps<Row> {
  /** What the table lists, read out. */
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** Enter or a click on a row. Links within cells work by themselves. */
  onOpen?: (row: Row) => void;
  /** How it is sorted when nobody chose yet; absent: in the order of `rows`. */
  sort?: Sort;
  onSort?: (sort: Sort) => void;
  /** The greatest height: a number of pixels, or any CSS length. Rows beyond it scroll. */
  height?: number | string;
  /** In place of rows where there are none. */
  empty?: ReactNode;
  rowTone?: (row: Row) => 'bad' | 'warn' | 'new' | undefined;
  /** The row that is chosen, by its key. */
  current?: string | null;
}

const ROW_PX = 38;
const HEAD_PX = 34;

/**
 * A table of any length: only the rows in view are in the page. Arrow keys, Page Up, Page Down, Home and End go from row
 * to row, Enter opens.
 */
export function Table<Row>(props: TableProps<Row>) {
  const { columns, rows, rowKey, label, onOpen, height = '70dvh', empty, current } = props;
  const [ownSort, setOwnSort] = useState<Sort | undefined>(undefined);
  const sort = props.onSort ? props.sort : (ownSort ?? props.sort);
  const sorted = useMemo(() => sortRows(rows, columns, sort), [rows, columns, sort]);
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  // eslint-disable-next-line react-hooks/incompatible-library -- its answers are read while rendering and handed to nobody
  const virtual = useVirtualizer({
    count: sorted.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 5,
    // The head lies over the rows: one that is scrolled to must come out below it.
    scrollPaddingStart: HEAD_PX,
  });

  const focus = useRowFocus(scroller);

  const choose = (column: Column<Row>) => {
    const next = { key: column.key, descending: sort?.key === column.key ? !sort.descending : false };
    if (props.onSort) props.onSort(next);
    else setOwnSort(next);
  };

  const go = (index: number) => {
    const target = Math.max(0, Math.min(sorted.length - 1, index));
    setActive(target);
    virtual.scrollToIndex(target);
    focus.go(target);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const at = indexAt(event.target);
    // What is within a row has keys of its own.
    if (at === null || !(event.target instanceof HTMLElement) || event.target.dataset['index'] === undefined) return;
    const index = focus.from(at);
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 400) / ROW_PX) - 2);
    const target = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + page, PageUp: index - page, Home: 0, End: sorted.length - 1 }[event.key];
    const row = sorted[index];
    if (target !== undefined) go(target);
    else if (event.key === 'Enter' && row !== undefined) onOpen?.(row);
    else return;
    event.preventDefault();
  };
  const onClick = (event: MouseEvent) => {
    const row = sorted[indexAt(event.target) ?? -1];
    if (row !== undefined && !leadsElsewhere(event.target)) onOpen?.(row);
  };

  const items = virtual.getVirtualItems();
  // Tab leads to the row that was reached last; where that is out of view, to one in view.
  const reachable = items.some((item) => item.index === active) ? active : items[Math.floor(items.length / 2)]?.index;
  return (
    <div className={styles.frame}>
      <div
        ref={scroller}
        className={classes(styles.scroller, sorted.length === 0 && styles.empty)}
        style={{ maxHeight: height, ...tracks(columns) }}
        role="table"
        aria-label={label}
        aria-rowcount={sorted.length + 1}
      >
        <div role="rowgroup" className={styles.head}>
          <div role="row" aria-rowindex={1} className={styles.row}>
            {columns.map((column) => (
              <Head key={column.key} column={column} sort={sort} onChoose={() => choose(column)} />
            ))}
          </div>
        </div>
        {sorted.length > 0 && (
          <div
            role="rowgroup"
            className={styles.rows}
            style={{ height: virtual.getTotalSize() }}
            onClick={onClick}
            onKeyDown={onKeyDown}
            onFocus={(event) => {
              focus.stay();
              setActive(indexAt(event.target) ?? active);
            }}
          >
            {items.map((item) => {
              const row = sorted[item.index];
              if (row === undefined) return null;
              const key = rowKey(row);
              return (
                <Entry
                  key={key}
                  row={row}
                  columns={columns}
                  index={item.index}
                  start={item.start}
                  reachable={item.index === reachable}
                  current={current === key}
                  opens={onOpen !== undefined}
                  tone={props.rowTone?.(row)}
                />
              );
            })}
          </div>
        )}
      </div>
      {sorted.length === 0 && empty}
    </div>
  );
}

interface EntryProps<Row> {
  row: Row;
  columns: readonly Column<Row>[];
  index: number;
  start: number;
  /** Tab leads to it. */
  reachable: boolean;
  current: boolean;
  opens: boolean;
  tone: 'bad' | 'warn' | 'new' | undefined;
}

/** A row. Drawn anew only where it is another: while the table scrolls, most stay as they are. */
const Entry = memo(function Entry<Row>({ row, columns, index, start, reachable, current, opens, tone }: EntryProps<Row>) {
  return (
    <div
      role="row"
      data-index={index}
      aria-rowindex={index + 2}
      aria-current={current ? 'true' : undefined}
      tabIndex={reachable ? 0 : -1}
      className={classes(styles.row, styles.entry, opens && styles.opens, tone && styles[tone], current && styles.current)}
      style={{ transform: `translateY(${start}px)` }}
    >
      {columns.map((column) => (
        <div key={column.key} role="cell" className={classes(styles.cell, column.align === 'end' && styles.end, hidden(column))}>
          {column.cell(row)}
        </div>
      ))}
    </div>
  );
}) as <Row>(props: EntryProps<Row>) => ReactNode;

function Head<Row>({ column, sort, onChoose }: { column: Column<Row>; sort: Sort | undefined; onChoose: () => void }) {
  const direction = sort?.key === column.key ? (sort.descending ? 'descending' : 'ascending') : undefined;
  return (
    <div role="columnheader" aria-sort={column.sortBy ? (direction ?? 'none') : undefined} className={classes(styles.cell, styles.title, column.align === 'end' && styles.end, hidden(column))}>
      {column.sortBy ? (
        <button type="button" onClick={onChoose}>
          {column.title}
          {direction === 'ascending' && <ArrowUp aria-hidden="true" />}
          {direction === 'descending' && <ArrowDown aria-hidden="true" />}
        </button>
      ) : (
        column.title
      )}
    </div>
  );
}

/** The tracks of each width, as variables that the style sheet chooses from. */
function tracks<Row>(columns: readonly Column<Row>[]): Record<string, string> {
  const of = (shown: (column: Column<Row>) => boolean) => columns.filter(shown).map((column) => column.width ?? 'minmax(90px, 1fr)').join(' ');
  return {
    '--tracks': of(() => true),
    '--tracks-medium': of((column) => column.hideBelow !== 1),
    '--tracks-narrow': of((column) => column.hideBelow === undefined),
  };
}

function hidden<Row>(column: Column<Row>): string | undefined {
  return column.hideBelow === undefined ? undefined : styles[`hide-${column.hideBelow}`];
}

/** The row that something within the table is part of. */
function indexAt(target: EventTarget): number | null {
  const row = target instanceof Element ? target.closest<HTMLElement>('[data-index]') : null;
  return row ? Number(row.dataset['index']) : null;
}

function leadsElsewhere(target: EventTarget): boolean {
  return target instanceof Element && target.closest('a, button, input, select, label') !== null;
}

function sortRows<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sort: Sort | undefined): readonly Row[] {
  const by = columns.find((column) => column.key === sort?.key)?.sortBy;
  if (!by || !sort) return rows;
  const sign = sort.descending ? -1 : 1;
  const collator = new Intl.Collator('en', { numeric: true });
  // The keys once each, not once a comparison: 10,000 rows sort within a frame or two.
  const keyed = rows.map((row) => ({ row, key: by(row) }));
  keyed.sort((a, b) => {
    if (a.key === b.key) return 0;
    // What has no value comes last either way.
    if (a.key === null) return 1;
    if (b.key === null) return -1;
    if (typeof a.key === 'number' && typeof b.key === 'number') return (a.key - b.key) * sign;
    return collator.compare(String(a.key), String(b.key)) * sign;
  });
  return keyed.map((each) => each.row);
}
