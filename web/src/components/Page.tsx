import { useEffect, type ReactNode } from 'react';
import styles from './Page.module.css';

export interface PageProps {
  /** What the tab and the heading say. */
  title: string;
  /** Beside the heading: how it is, of what kind. */
  badges?: ReactNode;
  /** One line that says what is here. */
  lede?: ReactNode;
  actions?: ReactNode;
  /** The way up, e.g. a link to the list. */
  above?: ReactNode;
  children: ReactNode;
}

export function Page({ title, badges, lede, actions, above, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · onex`;
  }, [title]);
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <div className={styles.words}>
          {above && <div className={styles.above}>{above}</div>}
          <div className={styles.title}>
            <h1>{title}</h1>
            {badges}
          </div>
          {lede && <p className={styles.lede}>{lede}</p>}
        </div>
        {actions && <div className={styles.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

/** Two columns on wide screens: what matters, and what belongs to it. */
export function Columns({ main, side }: { main: ReactNode; side: ReactNode }) {
  return (
    <div className={styles.columns}>
      <div className={styles.stack}>{main}</div>
      <div className={styles.stack}>{side}</div>
    </div>
  );
}

export function Stack({ children }: { children: ReactNode }) {
  return <div className={styles.stack}>{children}</div>;
}
