import { formatBytes, formatCompact, formatCount, formatRate } from '~/lib/format';
import { Grid, Stat } from '~/ui/Card';
import { Sparkline } from '~/ui/Sparkline';
import { Duration } from '~/ui/Time';
import type { BusDetails } from './BusPage';
import styles from './BusStats.module.css';
import { useSeries } from './useSeries';

/** What there is to do on the bus, in numbers and small charts. */
export function BusStats({ bus }: { bus: BusDetails }) {
  const { metrics, subscribers, kept } = bus;
  const rate = useSeries(metrics.messagesPerSecond);
  const lag = subscribers.reduce((sum, subscriber) => sum + subscriber.lag, 0);
  const lags = useSeries(lag);
  const lost = useSeries(metrics.dropped + metrics.invalid);
  const lostBefore = lost[0] ?? 0;
  return (
    <Grid min={155}>
      <Stat
        name="Events a second"
        value={formatRate(metrics.messagesPerSecond)}
        note={`${formatCompact(metrics.published)} published, ${formatBytes(metrics.bytes)}`}
        chart={<Sparkline values={rate} width={96} label={`Events a second over the last minute, now ${formatRate(metrics.messagesPerSecond)}`} maxAtLeast={4} />}
      />
      <Stat
        name="Behind"
        value={formatCompact(lag)}
        note={`${formatCount(metrics.subscriberCount)} listen, ${formatCompact(metrics.delivered)} delivered`}
        chart={<Sparkline values={lags} tone="warn" width={96} label={`Events that subscribers are behind over the last minute, now ${formatCount(lag)}`} maxAtLeast={10} />}
      />
      <Stat
        name="Lost or unfit"
        value={<span className={metrics.dropped > 0 ? styles.bad : undefined}>{formatCompact(metrics.dropped + metrics.invalid)}</span>}
        note={`${formatCount(metrics.dropped)} lost, ${formatCount(metrics.invalid)} did not fit`}
        chart={<Sparkline values={lost.map((count) => Math.max(0, count - lostBefore))} tone="bad" width={96} label="Events lost or unfit over the last minute" maxAtLeast={4} />}
      />
      <Stat
        name="Half delivered within"
        value={<Duration ms={metrics.p50LatencyMs} />}
        note={
          <>
            99 of 100 within <Duration ms={metrics.p99LatencyMs} />
            {kept && `; keeps ${formatCompact(kept.events)}`}
          </>
        }
      />
    </Grid>
  );
}
