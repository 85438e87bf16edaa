import { CircleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Fault } from '~/data/errors';
import { Button } from './Button';
import { CodeBlock } from './Copy';
import { Json } from './Json';
import styles from './States.module.css';

/** The shape of what is on its way. */
export function Skeleton({ width = '100%', height = 14 }: { width?: number | string; height?: number | string }) {
  return <span className={styles.skeleton} style={{ width, height }} aria-hidden="true" />;
}

/** Lines that are on their way, e.g. of a table. */
export function SkeletonLines({ count = 6, label = 'Loading' }: { count?: number; label?: string }) {
  return (
    <div className={styles.lines} role="status" aria-label={label}>
      {Array.from({ length: count }, (_, index) => (
        <Skeleton key={index} width={`${92 - ((index * 17) % 45)}%`} />
      ))}
    </div>
  );
}

export interface EmptyStateProps {
  icon?: ReactNode;
  title: string;
  /** What to do next, in words. */
  children?: ReactNode;
  /** The command that does it. */
  command?: string;
  action?: ReactNode;
}

/** Nothing is here, and what to do about it. */
export function EmptyState({ icon, title, children, command, action }: EmptyStateProps) {
  return (
    <div className={styles.empty}>
      {icon && (
        <div className={styles.icon} aria-hidden="true">
          {icon}
        </div>
      )}
      <p className={styles.title}>{title}</p>
      {children && <div className={`${styles.text ?? ''} prose`}>{children}</div>}
      {command && <CodeBlock code={command} label="Command" />}
      {action}
    </div>
  );
}

/** What went wrong: in words, with its code, and what to do. */
export function ErrorState({ fault, onRetry }: { fault: Fault; onRetry?: () => void }) {
  return (
    <div className={styles.error} role="alert">
      <CircleAlert aria-hidden="true" />
      <div>
        <p className={styles.title}>{fault.message}</p>
        {fault.hint && <p className={styles.text}>{fault.hint}</p>}
        <p className={styles.code}>
          Code <code>{fault.code}</code>
        </p>
        {fault.details && Object.keys(fault.details).length > 0 && (
          <details>
            <summary>Details</summary>
            <Json value={fault.details} label="Details of the error" />
          </details>
        )}
        {onRetry && (
          <Button size="small" onClick={onRetry}>
            Try again
          </Button>
        )}
      </div>
    </div>
  );
}

/** A remark within a page: something that is so and should be known. */
export function Notice({ tone = 'neutral', children }: { tone?: 'neutral' | 'warn' | 'bad'; children: ReactNode }) {
  return <div className={`${styles.notice ?? ''} ${styles[tone] ?? ''}`}>{children}</div>;
}
