import { ArrowUpToLine } from 'lucide-react';
import { plural } from '~/lib/format';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { ChangeDetails } from './ChangeDetails';
import { DensityBars } from './DensityBars';
import { Filters } from './Filters';
import styles from './History.module.css';
import { LogList } from './LogList';
import { useDensity } from './useDensity';
import { useFilter, type HistoryAddress } from './useFilter';
import { useLog } from './useLog';

export interface TimelineProps {
  address: HistoryAddress;
  set: (next: Partial<HistoryAddress>, journey?: boolean) => void;
}

export function Timeline({ address, set }: TimelineProps) {
  const { filter, unknownNode } = useFilter(address);
  const chosen = /^\d+$/.test(address.at) ? Number(address.at) : null;
  const log = useLog(filter, chosen);
  const density = useDensity(filter);
  const { entries, newer } = log.window;
  const change = entries.find((entry) => entry.change.sequence === chosen)?.change;
  const empty = entries.length === 0 && log.loading === null && !log.fault;
  return (
    <div className={styles.timeline}>
      <Filters address={address} set={set} unknownNode={unknownNode} />
      {density && (
        <DensityBars
          density={density}
          narrowed={address.since !== '' || address.until !== ''}
          onNarrow={(since, until) => set({ since, until }, true)}
          onWiden={() => set({ since: '', until: '' }, true)}
        />
      )}
      {log.fault && <ErrorState fault={log.fault} onRetry={() => log.begin(chosen)} />}
      <div className={change ? styles.split : undefined}>
        <Card flush>
          <div className={styles.status}>
            <span role="status">{statusOf(log.loading, entries.length, newer === null)}</span>
            {newer !== null && (
              <Button size="small" icon={<ArrowUpToLine aria-hidden="true" />} onClick={() => log.begin(null)}>
                To the latest
              </Button>
            )}
          </div>
          {log.loading === 'first' && entries.length === 0 ? (
            <SkeletonLines count={12} label="Loading the history" />
          ) : empty ? (
            <NoChange filtered={[address.type, address.node, address.actor, address.correlation, address.since, address.until].some((each) => each !== '')} />
          ) : (
            <LogList key={`${address.type} ${address.node} ${address.correlation} ${address.actor} ${address.since} ${address.until}`} log={log} chosen={chosen} onChoose={(each) => set({ at: String(each.sequence) })} />
          )}
        </Card>
        {change && (
          <div className={styles.aside}>
            <ChangeDetails
              change={change}
              onClose={() => set({ at: '' })}
              onThen={() => set({ view: 'then' }, true)}
              onSince={() => set({ view: 'between', from: String(change.sequence), at: '' }, true)}
              onCorrelation={(correlation) => set({ correlation }, true)}
              onNode={(node) => set({ node }, true)}
            />
          </div>
        )}
      </div>
    </div>
  );
}

function statusOf(loading: string | null, count: number, live: boolean): string {
  if (loading === 'first') return 'Loading';
  const shown = `${plural(count, 'change')} loaded`;
  if (loading === 'older') return `${shown}, older ones on the way`;
  return live ? `${shown}, live` : shown;
}

function NoChange({ filtered }: { filtered: boolean }) {
  return filtered ? (
    <EmptyState title="No change fits these filters">Widen the time, or clear the filters. Retention may have taken what is very old.</EmptyState>
  ) : (
    <EmptyState title="Nothing has changed yet" command="onex register path/to/contracts">
      Whatever registers, is called or leased is a line here. Register the contracts of a folder to begin:
    </EmptyState>
  );
}
