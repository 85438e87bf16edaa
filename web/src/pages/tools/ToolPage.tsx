import { Wrench } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import type { RouteProps } from '~/app/routes';
import { Page } from '~/components/Page';
import { about } from '~/data/about';
import type { Change } from '~/data/changes';
import { useLiveQuery } from '~/data/useLiveQuery';
import type { EventType } from '~/gql/enums';
import type { ToolQuery } from '~/gql/graphql';
import { formatCount, formatPercent, plural } from '~/lib/format';
import { paths } from '~/lib/paths';
import { useUrlState } from '~/lib/useUrlState';
import { Badge } from '~/ui/Badge';
import { Stat } from '~/ui/Card';
import { Select } from '~/ui/Field';
import { EmptyState, ErrorState, Notice, SkeletonLines } from '~/ui/States';
import { Tabs } from '~/ui/Tabs';
import { Duration, Nothing } from '~/ui/Time';
import { AvailabilityOf } from './AvailabilityOf';
import { CallPanel, type ToolDetails } from './CallPanel';
import { ToolDocument } from './queries';
import { ToolCalls } from './ToolCalls';
import styles from './ToolPage.module.css';
import { ToolProviders } from './ToolProviders';
import { ToolSchema } from './ToolSchema';
import { toolSource } from './toolSource';
import { useCallDraft } from './useCallDraft';

const NODES: readonly EventType[] = about.nodes;

export default function ToolPage({ params }: RouteProps) {
  const name = params['name'] ?? '';
  const [version] = useUrlState('version');
  const { data, fault, loading, refresh } = useLiveQuery({
    query: ToolDocument,
    variables: { name, version: version || null },
    // Calls and offers of other tools say nothing of this one.
    dependsOn: (change: Change) => NODES.includes(change.type) || toolSource.groupOfChange(change) === name,
    staleAt: firstRetry,
  });
  const tool = data?.tool;

  if (!tool) {
    return (
      <Page title={name} above={<Link href={paths.tools()}>Tools</Link>}>
        {fault && <ErrorState fault={fault} onRetry={refresh} />}
        {loading && <SkeletonLines count={8} label="Loading the tool" />}
        {data && <NoTool name={name} version={version} others={data.versions.nodes.filter((each) => each.name === name).length} />}
      </Page>
    );
  }
  return (
    // Another tool, or another version of it, is another form.
    <Shown key={tool.id} tool={tool} versions={data.versions.nodes.filter((each) => each.name === name)}>
      {fault && <ErrorState fault={fault} onRetry={refresh} />}
    </Shown>
  );
}

function Shown({ tool, versions, children }: { tool: ToolDetails; versions: ToolQuery['versions']['nodes']; children: ReactNode }) {
  const [tab, setTab] = useUrlState('tab', 'call');
  const [version, setVersion] = useUrlState('version');
  const [, navigate] = useLocation();
  const draft = useCallDraft(tool);
  const takeArguments = (values: unknown) => {
    if (typeof values === 'object' && values !== null) draft.setValues(values as Record<string, unknown>);
    navigate(paths.tool(tool.name, version));
  };
  return (
    <Page
      title={tool.name}
      above={<Link href={paths.tools()}>Tools</Link>}
      badges={
        <>
          <AvailabilityOf tool={tool} />
          {versions.length > 1 ? (
            <Select
              label="Version"
              value={tool.version}
              onChange={setVersion}
              options={versions.map((each) => ({ value: each.version, label: `${each.version}${each.providers.some((provider) => provider.healthy) ? '' : ', nobody there'}` }))}
            />
          ) : (
            <Badge>{tool.version}</Badge>
          )}
          {tool.idempotent && <Badge title="It may be called again when nobody knows what came of a call.">Idempotent</Badge>}
          {tool.tags.map((tag) => (
            <Badge key={tag}>{tag}</Badge>
          ))}
        </>
      }
      lede={tool.description ?? 'Its provider did not say what it does.'}
    >
      {children}
      {tool.quarantine && <Notice tone="warn">No call is sent to it for now: {tool.quarantine}</Notice>}
      <Metrics tool={tool} />
      <Tabs
        label="Parts of the tool"
        value={tab}
        onChange={setTab}
        tabs={[
          { value: 'call', label: 'Call', content: <CallPanel tool={tool} manyVersions={versions.length > 1} draft={draft} /> },
          { value: 'schema', label: 'What it takes and answers', content: <ToolSchema tool={tool} /> },
          { value: 'providers', label: `Providers (${formatCount(tool.providers.length)})`, content: <ToolProviders tool={tool} onChoose={(nodeId) => { draft.setOptions({ ...draft.options, nodeId }); setTab('call'); }} /> },
          { value: 'calls', label: 'Calls', content: <ToolCalls name={tool.name} onUse={takeArguments} /> },
        ]}
      />
    </Page>
  );
}

function Metrics({ tool }: { tool: ToolDetails }) {
  const { calls, failures, timeouts, p50DurationMs, p99DurationMs } = tool.metrics;
  const healthy = tool.providers.filter((provider) => provider.healthy).length;
  const inFlight = tool.providers.reduce((sum, provider) => sum + provider.inFlight, 0);
  return (
    <div className={styles.metrics}>
      <Stat name="Calls" value={formatCount(calls)} note={inFlight > 0 ? `${formatCount(inFlight)} under way` : 'none under way'} />
      <Stat name="Succeeded" value={calls === 0 ? <Nothing /> : formatPercent((calls - failures) / calls)} note={`${formatCount(failures)} failed, ${formatCount(timeouts)} too late`} />
      <Stat name="Half within" value={<Duration ms={p50DurationMs} />} note={<>99 of 100 within <Duration ms={p99DurationMs} /></>} />
      <Stat name="Can take a call" value={formatCount(healthy)} note={`of ${plural(tool.providers.length, 'provider')}`} />
    </div>
  );
}

function NoTool({ name, version, others }: { name: string; version: string; others: number }) {
  return (
    <EmptyState
      icon={<Wrench />}
      title={version ? `No version ${version} of ${name} is known` : `No tool is called ${name}`}
      command={`onex tools ${others > 0 ? name : ''}`.trim()}
      action={others > 0 ? <Link href={paths.tool(name)}>Show its highest release</Link> : <Link href={paths.tools()}>All tools</Link>}
    >
      A tool goes with the last node that offers it. Names count whole, in the same case.
    </EmptyState>
  );
}

/** When a call is tried again somewhere, that is no change: the answer is stale then. */
function firstRetry(data: ToolQuery): string | null {
  const instants = (data.tool?.providers ?? []).map(({ circuit }) => circuit.retryAt).filter((instant) => instant !== null && Date.parse(instant) > Date.now());
  return instants.sort()[0] ?? null;
}
