import { useState, type KeyboardEvent } from 'react';
import { useSecond } from '~/lib/clock';
import { formatCount, plural } from '~/lib/format';
import { formatClock } from '~/lib/time';
import { Button } from '~/ui/Button';
import styles from './History.module.css';
import { BUCKETS, instant, type Density } from './useDensity';

export interface DensityBarsProps {
  density: Density;
  /** Whether the time is narrowed already. */
  narrowed: boolean;
  onNarrow: (since: string, until: string) => void;
  onWiden: () => void;
}

/** The time of the log, with how much happened when. A bar leads into its part of the time. */
export function DensityBars({ density, narrowed, onNarrow, onWiden }: DensityBarsProps) {
  const { from, to, counts } = density;
  const [active, setActive] = useState(BUCKETS - 1);
  const most = Math.max(1, ...counts);
  const now = useSecond();
  const said = (index: number) => `${plural(counts[index] ?? 0, 'change')}, ${formatClock(instant(from, to, index), now)} to ${formatClock(instant(from, to, index + 1), now)}`;
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const target = { ArrowRight: active + 1, ArrowLeft: active - 1, Home: 0, End: BUCKETS - 1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(BUCKETS - 1, target));
    setActive(next);
    event.currentTarget.querySelectorAll('button')[next]?.focus();
  };
  return (
    <div className={styles.density}>
      <div className={styles.bars} role="toolbar" aria-label="Changes over time" onKeyDown={onKeyDown}>
        {counts.map((count, index) => (
          <button
            key={index}
            type="button"
            className={styles.bar}
            aria-label={said(index)}
            title={said(index)}
            tabIndex={index === active ? 0 : -1}
            onFocus={() => setActive(index)}
            onClick={() => onNarrow(instant(from, to, index), instant(from, to, index + 1))}
          >
            {/* By the root: a burst does not flatten all else. */}
            <span style={{ height: count === 0 ? 0 : `${Math.max(6, Math.sqrt(count / most) * 100)}%` }} />
          </button>
        ))}
      </div>
      <div className={styles.scale}>
        <span>{formatClock(new Date(from).toISOString(), now)}</span>
        <span>{formatCount(counts.reduce((sum, count) => sum + count, 0))} changes</span>
        {narrowed && (
          <Button size="small" variant="quiet" onClick={onWiden}>
            The whole time
          </Button>
        )}
        <span>{formatClock(new Date(to).toISOString(), now)}</span>
      </div>
    </div>
  );
}
