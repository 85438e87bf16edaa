const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 });

export const formatCount = (value: number) => whole.format(value);
/** For places where a million would not fit. */
export const formatCompact = (value: number) => (Math.abs(value) < 10_000 ? whole.format(value) : compact.format(value));
export const formatPercent = (value: number) => percent.format(value);

/** A rate, with as many digits as say something. */
export function formatRate(value: number): string {
  if (value === 0) return '0';
  if (value < 10) return value.toFixed(1);
  return formatCompact(value);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Milliseconds as people say them: 0.8 ms, 12 ms, 1.4 s, 3 m 20 s, 2 h 5 m, 4 d 3 h. */
export function formatDuration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${ms < 10 ? trim(ms.toFixed(1)) : Math.round(ms)} ms`;
  if (ms < 10_000) return `${trim((ms / 1_000).toFixed(1))} s`;
  return formatSeconds(Math.round(ms / 1_000));
}

/** Whole seconds by their two largest units. */
export function formatSeconds(seconds: number): string {
  const units: [string, number][] = [['d', 86_400], ['h', 3_600], ['m', 60], ['s', 1]];
  const parts: string[] = [];
  let rest = Math.max(0, seconds);
  for (const [name, size] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${name}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length > 0 ? parts.join(' ') : '0 s';
}

function trim(text: string): string {
  return text.replace(/\.0$/, '');
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1_000;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${value < 10 ? trim(value.toFixed(1)) : Math.round(value)} ${units[unit] ?? ''}`;
}

/** An enum's value as a word in a line: TIMED_OUT is "timed out". */
export function words(value: string): string {
  return value.toLowerCase().replaceAll('_', ' ');
}

export function titled(value: string): string {
  const text = words(value);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
