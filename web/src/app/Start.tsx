import { startTransition, useEffect, useState, type ReactNode } from 'react';
import { faultOf, type Fault } from '~/data/errors';
import { backoffMs } from '~/data/follow';
import { useConnection } from '~/data/hooks';
import { askStart } from '~/data/start';
import { ErrorState, SkeletonLines } from '~/ui/States';
import styles from './Start.module.css';

/**
 * Finds the place in the log where this page begins, before any view asks for anything: whatever a view is answered is
 * then at that place or behind it, and what comes later reaches it as a change.
 */
export function Start({ children }: { children: ReactNode }) {
  const { uncached, changes, firstStart } = useConnection();
  const [fault, setFault] = useState<Fault | null>(null);
  const [started, setStarted] = useState(false);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    void (attempt === 0 ? firstStart : askStart(uncached)).then(({ data, error }) => {
      if (over) return;
      if (data) {
        changes.start(data.registry.sequence, data.events.nodes.toReversed());
        // As a transition: the page waits for its code without the skeleton being put up and taken down again.
        startTransition(() => setStarted(true));
        return;
      }
      const found = error ? faultOf(error) : null;
      setFault(found);
      // Without a token there is nothing to try again; the dialog makes another connection.
      if (found?.code !== 'UNAUTHENTICATED') timer = setTimeout(() => setAttempt(attempt + 1), backoffMs(attempt));
    });
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [uncached, firstStart, changes, attempt]);

  if (started) return children;
  if (!fault || fault.code === 'UNAUTHENTICATED') return <SkeletonLines label="Loading the page" />;
  return (
    <div className={styles.fault}>
      <h1 className="visually-hidden">No connection</h1>
      <ErrorState fault={fault} onRetry={() => setAttempt(attempt + 1)} />
    </div>
  );
}
