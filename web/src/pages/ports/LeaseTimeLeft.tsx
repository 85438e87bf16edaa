import { useSecond } from '~/lib/clock';
import { TimeLeft } from '~/ui/Time';
import styles from './LeaseTimeLeft.module.css';
import type { Lease } from './leaseSource';

/** How long a lease still holds unless it is renewed, counting down, with the share of its lifetime as a bar. */
export function LeaseTimeLeft({ lease }: { lease: Pick<Lease, 'expiresAt' | 'ttlSeconds' | 'processId' | 'graceUntil'> }) {
  const now = useSecond();
  const until = lease.graceUntil ?? lease.expiresAt;
  if (!until) return <span className="muted">{lease.processId === null ? 'no end' : `while process ${lease.processId} lives`}</span>;
  const share = lease.ttlSeconds ? Math.min(1, Math.max(0, (Date.parse(until) / 1_000 - now) / lease.ttlSeconds)) : 0;
  return (
    <span className={styles.left}>
      <span className={styles.bar} aria-hidden="true">
        <span style={{ width: `${share * 100}%` }} className={share < 0.2 ? styles.soon : undefined} />
      </span>
      <TimeLeft until={until} />
    </span>
  );
}
