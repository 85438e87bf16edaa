import { Link } from 'wouter';
import type { Fault } from '~/data/errors';
import type { OverviewPortsQuery } from '~/gql/graphql';
import { formatCount, plural } from '~/lib/format';
import { paths } from '~/lib/paths';
import { Card } from '~/ui/Card';
import { PartsBar } from '~/ui/Sparkline';
import { ErrorState, SkeletonLines } from '~/ui/States';
import styles from './PortsCard.module.css';

export function PortsCard({ ports, fault }: { ports: OverviewPortsQuery | undefined; fault: Fault | null }) {
  return (
    <Card title="Ports" note={ports && `${plural(ports.ports.totalCount, 'lease')} held`} actions={<Link href={paths.ports()}>All ports</Link>}>
      {fault && !ports && <ErrorState fault={fault} />}
      {!ports && !fault && <SkeletonLines count={3} />}
      <ul className={styles.pools}>
        {ports?.portPools.map((pool) => (
          <li key={`${pool.host} ${pool.transport}`}>
            <div className={styles.name}>
              <span>
                {pool.host} <span className="muted">{pool.transport} {pool.from}–{pool.to}</span>
              </span>
              <span className="muted">{formatCount(pool.available)} free</span>
            </div>
            <PartsBar
              label={`Ports of ${pool.host} for ${pool.transport}`}
              legend={pool.allocated + pool.quarantined + pool.reserved > 0}
              parts={[
                { name: 'leased', value: pool.allocated, color: 'var(--accent)' },
                { name: 'quarantined', value: pool.quarantined, color: 'var(--warn)' },
                { name: 'reserved', value: pool.reserved, color: 'var(--line-2)' },
                { name: 'free', value: pool.available, color: 'var(--inset)' },
              ]}
            />
          </li>
        ))}
      </ul>
    </Card>
  );
}
