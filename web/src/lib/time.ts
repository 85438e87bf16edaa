import { formatSeconds } from './format';

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: 'numeric' });
const exact = new Intl.DateTimeFormat(undefined, {
  year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit',
  fractionalSecondDigits: 3, hourCycle: 'h23', timeZoneName: 'short',
});

/** The viewer's zone, to the millisecond, and the instant as the registry wrote it. */
export function formatExact(instant: string): string {
  return `${exact.format(new Date(instant))}\n${instant}`;
}

/** The hour alone; with its day where that is not today's. */
export function formatClock(instant: string, nowSeconds: number): string {
  const at = new Date(instant);
  const sameDay = at.toDateString() === new Date(nowSeconds * 1000).toDateString();
  return sameDay ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`;
}

export function formatDay(instant: string): string {
  return day.format(new Date(instant));
}

/** How long ago, or in how long. */
export function formatRelative(instant: string, nowSeconds: number): string {
  const seconds = Math.round(Date.parse(instant) / 1000 - nowSeconds);
  if (Math.abs(seconds) < 2) return 'now';
  // Beyond a minute the smaller unit only flickers.
  const text = Math.abs(seconds) < 3_600 ? formatSeconds(Math.abs(seconds)).split(' ').slice(0, 2).join(' ') : formatSeconds(Math.abs(seconds));
  return seconds < 0 ? `${text} ago` : `in ${text}`;
}
