/** What a number of a band is. */
export type NumberState = 'free' | 'leased' | 'quarantined' | 'reserved';

/** A band as it is drawn: numbers in rows of a round count, so that a row's first number is easy to read. */
export interface BandLayout {
  columns: number;
  rows: number;
  /** The number of the first cell, which may lie before the band. */
  first: number;
  /** Pixels from one cell to the next. */
  pitch: number;
}

const COLUMNS = [10, 20, 25, 40, 50, 80, 100, 125, 160, 200, 250, 400, 500, 1_000] as const;

/** As many columns as make the picture fit: cells as large as they may be, not more than `heightMax` high. */
export function layOut(from: number, to: number, width: number, heightMax: number): BandLayout {
  const of = (columns: number): BandLayout => {
    const first = Math.floor(from / columns) * columns;
    const rows = Math.floor((to - first) / columns) + 1;
    return { columns, rows, first, pitch: Math.min(PITCH_MAX, width / columns) };
  };
  const fitting = COLUMNS.map(of).filter((layout) => layout.rows * layout.pitch <= heightMax && layout.columns * layout.pitch > width / 3);
  return fitting.sort((a, b) => b.pitch - a.pitch)[0] ?? of(COLUMNS[COLUMNS.length - 1] ?? 1_000);
}

const PITCH_MAX = 14;

/** The number at a place of the picture; null beside the band. */
export function numberAt(layout: BandLayout, from: number, to: number, x: number, y: number): number | null {
  const column = Math.floor(x / layout.pitch);
  const row = Math.floor(y / layout.pitch);
  if (column < 0 || column >= layout.columns || row < 0 || row >= layout.rows) return null;
  const number = layout.first + row * layout.columns + column;
  return number < from || number > to ? null : number;
}

export function placeOf(layout: BandLayout, number: number): { x: number; y: number } {
  const index = number - layout.first;
  return { x: (index % layout.columns) * layout.pitch, y: Math.floor(index / layout.columns) * layout.pitch };
}

/** Where a key leads from a number. */
export function moveBy(key: string, number: number, columns: number, from: number, to: number): number | null {
  const target = {
    ArrowRight: number + 1, ArrowLeft: number - 1, ArrowDown: number + columns, ArrowUp: number - columns,
    PageDown: number + 10 * columns, PageUp: number - 10 * columns, Home: from, End: to,
  }[key];
  return target === undefined ? null : Math.max(from, Math.min(to, target));
}

/** The next number in use behind one, or before it; null where there is none. `used` is in order. */
export function nextUsed(used: readonly number[], number: number, forward: boolean): number | null {
  if (forward) return used.find((each) => each > number) ?? null;
  return used.findLast((each) => each < number) ?? null;
}

/** Consecutive numbers. */
export interface Span {
  from: number;
  to: number;
}

export function isWithin(spans: readonly Span[], number: number): boolean {
  return spans.some(({ from, to }) => number >= from && number <= to);
}

/** The outline of consecutive numbers as a path: their first and their last row may not be whole. */
export function outlineOf({ from, to }: Span, layout: BandLayout): string {
  const { pitch, columns } = layout;
  const start = placeOf(layout, from);
  const end = placeOf(layout, to);
  if (start.y === end.y) return `M${start.x} ${start.y}H${end.x + pitch}V${end.y + pitch}H${start.x}z`;
  return `M${start.x} ${start.y}H${columns * pitch}V${end.y}H${end.x + pitch}V${end.y + pitch}H0V${start.y + pitch}H${start.x}z`;
}
