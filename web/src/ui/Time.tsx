import { formatClock, formatExact, formatRelative } from '~/lib/time';
import { formatDuration, formatSeconds } from '~/lib/format';
import { useSecond } from '~/lib/clock';

/** An instant, as the viewer's clock would say it; the exact one on hover. `relative` ticks with everything else. */
export function Time({ at, as = 'relative' }: { at: string | null | undefined; as?: 'relative' | 'clock' }) {
  const now = useSecond();
  if (!at) return <Nothing />;
  return (
    <time dateTime={at} title={formatExact(at)}>
      {as === 'relative' ? formatRelative(at, now) : formatClock(at, now)}
    </time>
  );
}

/** Time that is left until an instant. */
export function TimeLeft({ until, over = 'over' }: { until: string | null | undefined; over?: string }) {
  const now = useSecond();
  if (!until) return <span className="muted">no end</span>;
  const seconds = Math.floor(Date.parse(until) / 1000) - now;
  return (
    <time dateTime={until} title={formatExact(until)}>
      {seconds >= 0 ? formatSeconds(seconds) : over}
    </time>
  );
}

export function Duration({ ms }: { ms: number | null | undefined }) {
  if (ms === null || ms === undefined) return <Nothing />;
  return <span title={`${ms} ms`}>{formatDuration(ms)}</span>;
}

/** Where there is no value. */
export function Nothing() {
  return (
    <span className="muted">
      <span aria-hidden="true">–</span>
      <span className="visually-hidden">none</span>
    </span>
  );
}
