import type { ReactNode } from 'react';
import { classes } from '~/lib/classes';
import styles from './Badge.module.css';

export type Tone = 'neutral' | 'ok' | 'warn' | 'bad' | 'accent';

/** A word on a soft ground: a kind, a tag, a count. */
export function Badge({ tone = 'neutral', children, title }: { tone?: Tone; children: ReactNode; title?: string }) {
  return (
    <span className={classes(styles.badge, styles[tone])} title={title}>
      {children}
    </span>
  );
}

/** How something is: a dot with its word. The shape differs besides the colour, for those who do not see it. */
export function Status({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string }) {
  return (
    <span className={styles.status} title={title}>
      <Dot tone={tone} />
      {children}
    </span>
  );
}

export function Dot({ tone }: { tone: Tone }) {
  return <span className={classes(styles.dot, styles[`dot-${tone}`])} aria-hidden="true" />;
}
