import type { ReactNode } from 'react';
import { useId } from 'react';
import { classes } from '~/lib/classes';
import styles from './Card.module.css';

export interface CardProps {
  title?: ReactNode;
  /** Beside the title, small: a count, a note. */
  note?: ReactNode;
  /** At the title's end: buttons, a link onwards. */
  actions?: ReactNode;
  /** The content touches the edges, as a table does. */
  flush?: boolean;
  className?: string;
  children: ReactNode;
}

/** A part of a page with its title. */
export function Card({ title, note, actions, flush, className, children }: CardProps) {
  const id = useId();
  return (
    <section className={classes(styles.card, className)} aria-labelledby={title ? id : undefined}>
      {title && (
        <header className={styles.head}>
          <h2 id={id}>{title}</h2>
          {note && <span className={styles.note}>{note}</span>}
          {actions && <div className={styles.actions}>{actions}</div>}
        </header>
      )}
      <div className={classes(styles.body, flush && styles.flush)}>{children}</div>
    </section>
  );
}

/** Names with their values, as on a node's page. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className={styles.facts}>{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** One number that matters, with what it is and, where it helps, a small chart. */
export function Stat({ name, value, note, chart }: { name: ReactNode; value: ReactNode; note?: ReactNode; chart?: ReactNode }) {
  return (
    <div className={styles.stat}>
      <div className={styles.statInner}>
        <div className={styles.statName}>{name}</div>
        <div className={styles.statValue}>{value}</div>
        {note && <div className={styles.statNote}>{note}</div>}
        {chart && <div className={styles.statChart}>{chart}</div>}
      </div>
    </div>
  );
}

/** Cards or stats beside each other, as many as have room. */
export function Grid({ min = 280, children }: { min?: number; children: ReactNode }) {
  return (
    <div className={styles.grid} style={{ gridTemplateColumns: `repeat(auto-fit, minmax(min(100%, ${min}px), 1fr))` }}>
      {children}
    </div>
  );
}
