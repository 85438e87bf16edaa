import type { Change } from '~/data/changes';

/** A change with its place for paging; null where it came live and nobody asked for its place. */
export interface Entry {
  change: Change;
  cursor: string | null;
}

/** Where to go on from: behind a cursor, or at an instant where no cursor is known. */
export type Edge = { cursor: string } | { time: string };

/** A piece of the log without gaps, the latest first. */
export interface LogWindow {
  entries: readonly Entry[];
  /** Null: there is nothing beyond. */
  older: Edge | null;
  newer: Edge | null;
}

export const EMPTY: LogWindow = { entries: [], older: null, newer: null };

export interface LogPage {
  /** The oldest first, as the registry gives them. */
  entries: readonly Entry[];
  hasPrevious: boolean;
  hasNext: boolean;
  start: string | null;
  end: string | null;
}

export function withOlder(window: LogWindow, page: LogPage): LogWindow {
  const known = window.entries.at(-1)?.change.sequence ?? Infinity;
  const added = page.entries.filter(({ change }) => change.sequence < known).toReversed();
  return { ...window, entries: [...window.entries, ...added], older: page.hasPrevious && page.start !== null ? { cursor: page.start } : null };
}

export function withNewer(window: LogWindow, page: LogPage): LogWindow {
  const known = window.entries[0]?.change.sequence ?? -1;
  const added = page.entries.filter(({ change }) => change.sequence > known).toReversed();
  return { ...window, entries: [...added, ...window.entries], newer: page.hasNext && page.end !== null ? { cursor: page.end } : null };
}

/** What comes live, in order. Only for a window that reaches up to now. */
export function withLive(window: LogWindow, changes: readonly Change[], keep: (change: Change) => boolean): LogWindow {
  const known = window.entries[0]?.change.sequence ?? -1;
  const added = changes.filter((change) => change.sequence > known && keep(change)).map((change) => ({ change, cursor: null })).toReversed();
  return added.length === 0 ? window : { ...window, entries: [...added, ...window.entries] };
}

/** A window that is not longer than `most` by much: what goes can be asked for again. */
export function trimmed(window: LogWindow, most: number, side: 'older' | 'newer'): LogWindow {
  if (window.entries.length <= most * 1.5) return window;
  if (side === 'older') {
    const entries = window.entries.slice(0, most);
    return { ...window, entries, older: edgeAt(entries.at(-1)) };
  }
  const entries = window.entries.slice(-most);
  return { ...window, entries, newer: edgeAt(entries[0]) };
}

function edgeAt(entry: Entry | undefined): Edge | null {
  if (!entry) return null;
  return entry.cursor === null ? { time: entry.change.time } : { cursor: entry.cursor };
}

/** Just after an instant, so that what was made at it lies before. Milliseconds are what a Date has. */
export function justAfter(instant: string): string {
  return new Date(Date.parse(instant) + 1).toISOString();
}

export function justBefore(instant: string): string {
  return new Date(Date.parse(instant)).toISOString();
}
