import { ChangeList } from '~/components/ChangeList';
import type { Change } from '~/data/changes';
import { useLiveQuery } from '~/data/useLiveQuery';
import { plural } from '~/lib/format';
import { Card } from '~/ui/Card';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { BusChangesDocument } from './queries';

/** What happened to the bus, its topics and its durable subscribers, the latest first. */
export function BusHistory({ busId }: { busId: string }) {
  const { data, fault, loading, refresh } = useLiveQuery({
    query: BusChangesDocument,
    variables: { busId },
    dependsOn: ({ metadata }: Change) => typeof metadata === 'object' && metadata !== null && 'busId' in metadata && metadata.busId === busId,
  });
  const changes = data?.events.nodes.toReversed() ?? [];
  return (
    <Card title="History" note={data && `the latest ${plural(changes.length, 'change')}`} flush>
      {fault && <ErrorState fault={fault} onRetry={refresh} />}
      {loading && <SkeletonLines label="Loading the history" />}
      {data && (changes.length > 0 ? <ChangeList changes={changes} label="Changes of the bus" /> : <EmptyState title="Nothing of it is kept in the history">Retention may have taken it.</EmptyState>)}
    </Card>
  );
}
