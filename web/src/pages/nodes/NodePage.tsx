import { Network, Unplug } from 'lucide-react';
import { Link, useLocation } from 'wouter';
import type { RouteProps } from '~/app/routes';
import { Page } from '~/components/Page';
import { NodeStatusOf, TrustOf } from '~/components/StatusOf';
import { about } from '~/data/about';
import { useBusMetrics } from '~/data/useBusMetrics';
import { useLiveQuery } from '~/data/useLiveQuery';
import { titled } from '~/lib/format';
import { paths } from '~/lib/paths';
import { useUrlState } from '~/lib/useUrlState';
import { Badge } from '~/ui/Badge';
import { Button } from '~/ui/Button';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Tabs } from '~/ui/Tabs';
import { NodeCalls } from './NodeCalls';
import { NodeContract } from './NodeContract';
import { NodeHistory } from './NodeHistory';
import { NodeSummary, type NodeDetails } from './NodeSummary';
import { NodeDocument } from './queries';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whoever else comes or goes may feed this node, or be fed by it. */
const DEPENDS_ON = [...about.nodes, ...about.contracts, ...about.tools, ...about.calls, ...about.ports] as const;

export default function NodePage({ params }: RouteProps) {
  const key = params['id'] ?? '';
  const by = UUID.test(key) ? { id: key } : { name: key };
  const { data, fault, loading, refresh } = useLiveQuery({
    query: NodeDocument,
    variables: { by },
    dependsOn: DEPENDS_ON,
    // A live node's expiry moves with each heartbeat; when the one that is shown comes, there is another or it lapsed.
    staleAt: (answer) => (answer.node?.status === 'OFFLINE' ? null : answer.node?.expiresAt),
  });
  const [tab, setTab] = useUrlState('tab', 'summary');
  const [, navigate] = useLocation();
  const node = data?.node;
  // What travels is no change of the registry.
  useBusMetrics(busesOf(node), refresh);
  const above = <Link href={paths.nodes()}>Nodes</Link>;

  if (!node) {
    return (
      <Page title={UUID.test(key) ? 'Node' : key} above={above}>
        {fault && <ErrorState fault={fault} onRetry={refresh} />}
        {loading && <SkeletonLines count={8} label="Loading the node" />}
        {data && (
          <EmptyState icon={<Unplug />} title={`No node has the ${UUID.test(key) ? 'id' : 'name'} ${key}`} action={<Link href={paths.history({ node: UUID.test(key) ? key : undefined })}>Look in the history</Link>}>
            It may have been deregistered. What it was, and when it left, is still in the history.
          </EmptyState>
        )}
      </Page>
    );
  }

  return (
    <Page
      title={node.name}
      above={above}
      badges={
        <>
          <NodeStatusOf status={node.status} />
          <Badge>{titled(node.kind)}</Badge>
          <TrustOf state={node.trust.state} />
        </>
      }
      lede={node.description}
      actions={
        <Button icon={<Network aria-hidden="true" />} onClick={() => navigate(paths.graph({ focus: node.id }))}>
          Show in the graph
        </Button>
      }
    >
      {fault && <ErrorState fault={fault} onRetry={refresh} />}
      <Tabs
        label="Parts of the node"
        value={tab}
        onChange={setTab}
        tabs={[
          { value: 'summary', label: 'Summary', content: <NodeSummary node={node} /> },
          { value: 'contract', label: 'Contract', content: <NodeContract node={node} /> },
          { value: 'calls', label: 'Executions', content: <NodeCalls node={node} /> },
          { value: 'history', label: 'History', content: <NodeHistory nodeId={node.id} /> },
        ]}
      />
    </Page>
  );
}

/** The buses that it has places on. */
function busesOf(node: NodeDetails | null | undefined): readonly string[] {
  const places = node ? [...node.inboundPorts, ...node.outboundPorts] : [];
  return [...new Set(places.flatMap(({ bus }) => (bus ? [bus.name] : [])))];
}
