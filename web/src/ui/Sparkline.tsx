import { useId } from 'react';
import styles from './Sparkline.module.css';

export interface SparklineProps {
  /** The oldest first, all the same time apart. */
  values: readonly number[];
  /** What it shows, read out, e.g. "Calls a second over the last minute, now 4". */
  label: string;
  width?: number;
  height?: number;
  tone?: 'accent' | 'bad' | 'ok' | 'warn';
  /** What the full height stands for at least, so that a quiet line stays low. */
  maxAtLeast?: number;
}

/** A small line of how something went. */
export function Sparkline({ values, label, width = 120, height = 32, tone = 'accent', maxAtLeast = 1 }: SparklineProps) {
  const id = useId();
  const max = Math.max(maxAtLeast, ...values);
  const step = values.length > 1 ? width / (values.length - 1) : width;
  const points = values.map((value, index) => `${(index * step).toFixed(1)},${(height - 2 - (value / max) * (height - 5)).toFixed(1)}`);
  const line = `M${points.join('L')}`;
  // Nothing happened: a line in a colour of alarm would say otherwise.
  const shown = values.some((value) => value > 0) ? tone : 'quiet';
  return (
    <svg className={`${styles.sparkline ?? ''} ${styles[shown] ?? ''}`} viewBox={`0 0 ${width} ${height}`} width={width} height={height} preserveAspectRatio="none" role="img" aria-label={label}>
      <defs>
        <linearGradient id={id} x1="0" y1="0" x2="0" y2="1">
          <stop offset="0" stopColor="currentColor" stopOpacity=".22" />
          <stop offset="1" stopColor="currentColor" stopOpacity="0" />
        </linearGradient>
      </defs>
      {points.length > 1 && (
        <>
          <path d={`${line}L${width},${height}L0,${height}Z`} fill={`url(#${id})`} />
          <path d={line} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round" vectorEffect="non-scaling-stroke" />
        </>
      )}
    </svg>
  );
}

export interface Part {
  name: string;
  value: number;
  /** A colour of the tokens, e.g. var(--ok). */
  color: string;
}

/** Parts of a whole as one bar, with what they are in words below it. */
export function PartsBar({ parts, label, legend = true }: { parts: readonly Part[]; label: string; legend?: boolean }) {
  const total = parts.reduce((sum, part) => sum + part.value, 0);
  const shown = parts.filter((part) => part.value > 0);
  return (
    <div className={styles.parts}>
      <div className={styles.bar} role="img" aria-label={`${label}: ${parts.map((part) => `${part.value} ${part.name}`).join(', ')}`}>
        {shown.map((part) => (
          <span key={part.name} style={{ flexGrow: part.value / Math.max(1, total), background: part.color }} title={`${part.value} ${part.name}`} />
        ))}
      </div>
      {legend && (
        <ul className={styles.legend} aria-hidden="true">
          {parts.map((part) => (
            <li key={part.name}>
              <span style={{ background: part.color }} />
              {part.name} <b>{part.value}</b>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
