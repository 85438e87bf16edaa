import { ChevronLeft, ChevronRight } from 'lucide-react';
import { formatCount } from '~/lib/format';
import { IconButton } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { Input, Select, Spacer, Toolbar } from '~/ui/Field';
import { nextUsed } from './band';
import { BandPicture } from './BandPicture';
import styles from './PoolCard.module.css';
import { poolKey, type Pool, type PoolNumbers } from './usePools';

export interface PoolCardProps {
  pools: readonly Pool[];
  pool: Pool;
  numbers: PoolNumbers;
  selected: number | null;
  onPool: (key: string) => void;
  onSelect: (number: number | null) => void;
}

/** One band as a picture, with what its colours mean and how many there are of each. */
export function PoolCard({ pools, pool, numbers, selected, onPool, onSelect }: PoolCardProps) {
  const step = (forward: boolean) => nextUsed(numbers.used, selected ?? (forward ? pool.from - 1 : pool.to + 1), forward);
  const before = step(false);
  const behind = step(true);
  return (
    <Card
      title="Numbers"
      actions={
        <Select
          label="Band"
          className={styles.band}
          value={poolKey(pool)}
          onChange={onPool}
          options={pools.map((each) => ({ value: poolKey(each), label: `${each.host} ${each.transport} ${each.from}–${each.to}, ${formatCount(each.allocated)} leased` }))}
        />
      }
    >
      <Toolbar label="Numbers">
        <ul className={styles.legend}>
          <Meaning name="leased" count={pool.allocated} className={styles.leased} />
          <Meaning name="kept back" count={pool.quarantined} className={styles.quarantined} title="After a lease, or because somebody else listens there: nobody gets them for a while." />
          {pool.reserved > 0 && <Meaning name="reserved" count={pool.reserved} className={styles.reserved} title="The configuration keeps them out: nobody gets them." />}
          <Meaning name="free" count={pool.available} className={styles.free} />
        </ul>
        <Spacer />
        <IconButton size="small" label={before === null ? 'No number in use before this' : `To ${before}, the number in use before`} icon={<ChevronLeft aria-hidden="true" />} disabled={before === null} onClick={() => onSelect(before)} />
        <Input
          type="number"
          className={styles.number}
          aria-label="Number to look at"
          placeholder="Number"
          min={pool.from}
          max={pool.to}
          value={selected ?? ''}
          onChange={(event) => {
            const number = Number.parseInt(event.target.value, 10);
            onSelect(Number.isNaN(number) ? null : number);
          }}
        />
        <IconButton size="small" label={behind === null ? 'No number in use behind this' : `To ${behind}, the next number in use`} icon={<ChevronRight aria-hidden="true" />} disabled={behind === null} onClick={() => onSelect(behind)} />
      </Toolbar>
      <BandPicture pool={pool} numbers={numbers} selected={selected} onSelect={onSelect} />
    </Card>
  );
}

function Meaning({ name, count, className, title }: { name: string; count: number; className: string | undefined; title?: string }) {
  return (
    <li title={title}>
      <span className={className} aria-hidden="true" />
      <b>{formatCount(count)}</b> {name}
    </li>
  );
}
