import { ChangeList } from '~/components/ChangeList';
import type { Change } from '~/data/changes';
import { useLiveQuery } from '~/data/useLiveQuery';
import { plural } from '~/lib/format';
import { Card } from '~/ui/Card';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { NodeChangesDocument } from './queries';

/** What happened to the node, the latest first. */
export function NodeHistory({ nodeId }: { nodeId: string }) {
  const { data, fault, loading, refresh } = useLiveQuery({
    query: NodeChangesDocument,
    variables: { nodeId },
    dependsOn: (change: Change) => change.nodeId === nodeId,
  });
  const changes = data?.events.nodes.toReversed() ?? [];
  return (
    <Card title="History" note={data && `the latest ${plural(changes.length, 'change')}`} flush>
      {fault && <ErrorState fault={fault} onRetry={refresh} />}
      {loading && <SkeletonLines label="Loading the history" />}
      {data && (changes.length > 0 ? <ChangeList changes={changes} label="Changes of the node" /> : <EmptyState title="Nothing of it is kept in the history">Retention may have taken it.</EmptyState>)}
    </Card>
  );
}
