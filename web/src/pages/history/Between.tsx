import { useMemo } from 'react';
import { useQuery } from 'urql';
import { ChangeList } from '~/components/ChangeList';
import { useChangesSnapshot } from '~/data/hooks';
import { groupBy } from '~/lib/groupBy';
import { formatCount, plural, titled } from '~/lib/format';
import { Badge } from '~/ui/Badge';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Time } from '~/ui/Time';
import { differences, type Difference, type Sort } from './difference';
import { DifferenceRow } from './DifferenceRow';
import styles from './History.module.css';
import { MomentPicker } from './MomentPicker';
import { BetweenDocument } from './queries';
import type { Snapshot } from './snapshot';
import type { HistoryAddress } from './useFilter';
import { useOldest, useSnapshot } from './useSnapshot';
import { justAfter } from './window';

const SHOWN_MAX = 200;

/** What is other at a later moment than at an earlier one, and the changes that made it so. */
export function Between({ address, set }: { address: HistoryAddress; set: (next: Partial<HistoryAddress>, journey?: boolean) => void }) {
  const { sequence: last } = useChangesSnapshot();
  const first = useOldest();
  const from = address.from || String(first);
  const at = address.at || String(last);
  const before = useSnapshot(from);
  const after = useSnapshot(at);
  const swapped = before.snapshot !== null && after.snapshot !== null && before.snapshot.sequence > after.snapshot.sequence;
  const loading = before.loading || after.loading;
  return (
    <div className={styles.timeline}>
      <div className={styles.two}>
        <Card title="From"><MomentPicker label="The earlier moment" value={from} onChange={(next) => set({ from: next })} first={first} last={last} snapshot={before.loading ? null : before.snapshot} /></Card>
        <Card title="To" note={address.at ? undefined : 'now, live'}><MomentPicker label="The later moment" value={at} onChange={(next) => set({ at: next })} first={first} last={last} snapshot={after.loading ? null : after.snapshot} /></Card>
      </div>
      {before.fault && <ErrorState fault={before.fault} />}
      {after.fault && <ErrorState fault={after.fault} />}
      {(!before.snapshot || !after.snapshot) && !before.fault && !after.fault && <SkeletonLines count={8} label="Comparing" />}
      {swapped && <EmptyState title="The first moment is after the second" action={<Button onClick={() => set({ from: at, at: from })}>Exchange them</Button>} />}
      {before.snapshot && after.snapshot && !swapped && (
        <div className={loading ? styles.stale : undefined} aria-busy={loading}>
          <Compared before={before.snapshot} after={after.snapshot} set={set} />
        </div>
      )}
    </div>
  );
}

const SORTS: readonly { sort: Sort; title: string; tone: 'ok' | 'bad' | 'accent' }[] = [
  { sort: 'added', title: 'Added', tone: 'ok' },
  { sort: 'removed', title: 'Removed', tone: 'bad' },
  { sort: 'changed', title: 'Changed', tone: 'accent' },
];

function Compared({ before, after, set }: { before: Snapshot; after: Snapshot; set: (next: Partial<HistoryAddress>, journey?: boolean) => void }) {
  const found = useMemo(() => groupBy(differences(before, after), (each) => each.sort), [before, after]);
  const since = justAfter(before.time);
  const until = justAfter(after.time);
  const [{ data }] = useQuery({ query: BetweenDocument, variables: { since: before.time, until }, requestPolicy: 'network-only' });
  const events = useMemo(() => (data?.events.nodes ?? []).filter((change) => change.sequence > before.sequence && change.sequence <= after.sequence).toReversed(), [data, before, after]);
  const byType = [...groupBy(events, (change) => change.type)].sort(([, a], [, b]) => b.length - a.length);
  const nothing = found.size === 0;
  return (
    <div className={styles.timeline}>
      <p className={styles.said2} role="status">
        <span>
          From #{formatCount(before.sequence)} (<Time at={before.time} as="clock" />) to #{formatCount(after.sequence)} (<Time at={after.time} as="clock" />):{' '}
          {nothing ? 'nothing that is there differs.' : SORTS.map(({ sort, title }) => `${formatCount(found.get(sort)?.length ?? 0)} ${title.toLowerCase()}`).join(', ') + '.'}
        </span>
      </p>
      {SORTS.map(({ sort, title, tone }) => {
        const each = found.get(sort) ?? [];
        return each.length === 0 ? null : (
          <Card key={sort} title={title} note={<Badge tone={tone}>{formatCount(each.length)}</Badge>} flush>
            <Rows rows={each} />
          </Card>
        );
      })}
      <Card
        title="The changes between"
        note={data && (events.length < 500 ? plural(events.length, 'change') : 'the latest 500')}
        actions={<Button size="small" variant="quiet" onClick={() => set({ view: 'timeline', since, until, at: '', from: '' }, true)}>In the timeline</Button>}
        flush
      >
        {byType.length > 0 && (
          <div className={styles.types}>
            {byType.map(([type, each]) => <Badge key={type}>{titled(type)} {formatCount(each.length)}</Badge>)}
          </div>
        )}
        {events.length > 0 ? <div className={styles.changes} tabIndex={0} role="region" aria-label="Changes between the two moments"><ChangeList changes={events} label="The changes between, the latest first" /></div> : data && <EmptyState title="Nothing happened between" />}
      </Card>
    </div>
  );
}

function Rows({ rows }: { rows: readonly Difference[] }) {
  return (
    <>
      <ul>
        {rows.slice(0, SHOWN_MAX).map((each) => <li key={`${each.thing}${each.id}`}><DifferenceRow difference={each} /></li>)}
      </ul>
      {rows.length > SHOWN_MAX && <p className={styles.more}>And {formatCount(rows.length - SHOWN_MAX)} more; choose moments nearer to each other to see all.</p>}
    </>
  );
}
