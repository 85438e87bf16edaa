import { Wrench } from 'lucide-react';
import { useMemo } from 'react';
import { useLocation } from 'wouter';
import { ToolLink } from '~/components/Links';
import { Page } from '~/components/Page';
import { useKeptRows } from '~/data/useKeptRows';
import { formatCompact, formatCount, formatPercent, plural, titled } from '~/lib/format';
import { paths } from '~/lib/paths';
import { useUrlState } from '~/lib/useUrlState';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { Checkbox, SearchBox, Select, Spacer, Toolbar } from '~/ui/Field';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { Table, type Column, type Sort } from '~/ui/Table';
import { Duration, Nothing } from '~/ui/Time';
import { AvailabilityOf } from './AvailabilityOf';
import { AVAILABILITIES, availabilityOf, filterTools, tagsOf, type ToolRow } from './toolRows';
import { toolSource } from './toolSource';
import styles from './ToolsPage.module.css';

const columns: readonly Column<ToolRow>[] = [
  { key: 'name', title: 'Name', width: 'minmax(150px, 1.6fr)', cell: (tool) => <ToolLink name={tool.name} version={tool.version} />, sortBy: (tool) => tool.name },
  { key: 'version', title: 'Version', width: '72px', hideBelow: 2, cell: (tool) => tool.version, sortBy: (tool) => tool.version },
  { key: 'state', title: 'State', width: '112px', cell: (tool) => <AvailabilityOf tool={tool} />, sortBy: (tool) => AVAILABILITIES.indexOf(availabilityOf(tool)) },
  { key: 'providers', title: 'Providers', width: '88px', align: 'end', hideBelow: 2, cell: (tool) => <Providers tool={tool} />, sortBy: (tool) => tool.providers.length },
  { key: 'description', title: 'Description', width: 'minmax(120px, 3fr)', hideBelow: 2, cell: (tool) => <Description tool={tool} /> },
  { key: 'tags', title: 'Tags', width: 'minmax(80px, 1fr)', hideBelow: 1, cell: (tool) => (tool.tags.length > 0 ? <span title={tool.tags.join(', ')}>{tool.tags.join(', ')}</span> : <Nothing />) },
  { key: 'calls', title: 'Calls', width: '64px', align: 'end', cell: (tool) => formatCompact(tool.metrics.calls), sortBy: (tool) => tool.metrics.calls },
  { key: 'failures', title: 'Failed', width: '70px', align: 'end', hideBelow: 2, cell: (tool) => <Failures tool={tool} />, sortBy: failureShare },
  { key: 'median', title: 'Half within', width: '92px', align: 'end', hideBelow: 1, cell: (tool) => <Duration ms={tool.metrics.p50DurationMs} />, sortBy: (tool) => tool.metrics.p50DurationMs },
];

/** Every tool that somebody offers or promises. */
export default function ToolsPage() {
  const { rows, complete, fault, reload } = useKeptRows(toolSource);
  const [search, setSearch] = useUrlState('search');
  const [tag, setTag] = useUrlState('tag');
  const [availability, setAvailability] = useUrlState('state');
  const [trusted, setTrusted] = useUrlState('trusted');
  const [sort, setSort] = useUrlState('sort');
  const [, navigate] = useLocation();
  const shown = useMemo(() => filterTools(rows, { search, tag, availability, trusted: trusted === 'yes' }), [rows, search, tag, availability, trusted]);
  const tags = useMemo(() => tagsOf(rows), [rows]);
  const unknown = rows.length === 0 && !complete;

  return (
    <Page title="Tools" lede="What nodes do for others. Open one to see what it takes, and to call it.">
      {fault && <ErrorState fault={fault} onRetry={reload} />}
      <Toolbar label="Filters">
        <SearchBox value={search} onChange={setSearch} label="Search name, tags, description, node" />
        <Select label="State" value={availability} onChange={setAvailability} options={[{ value: '', label: 'Any state' }, ...AVAILABILITIES.map((value) => ({ value, label: titled(value) }))]} />
        <Select label="Tag" className={styles.tags} value={tag} onChange={setTag} options={[{ value: '', label: 'Any tag' }, ...tags.map(({ tag: value, count }) => ({ value, label: `${value} (${count})` }))]} />
        <Checkbox label="Trusted only" checked={trusted === 'yes'} onChange={(on) => setTrusted(on ? 'yes' : '')} />
        <Spacer />
        <span className="muted" role="status">
          {unknown ? !fault && 'Loading' : shown.length === rows.length ? plural(rows.length, 'tool') : `${formatCount(shown.length)} of ${plural(rows.length, 'tool')}`}
          {!complete && rows.length > 0 && ', more on the way'}
        </span>
      </Toolbar>
      {!(unknown && fault) && (
        <Card flush className={styles.card}>
          {unknown ? (
            <SkeletonLines count={12} label="Loading tools" />
          ) : (
            <Table
              label="Tools"
              columns={columns}
              rows={shown}
              rowKey={(tool) => tool.id}
              onOpen={(tool) => navigate(paths.tool(tool.name, tool.version))}
              sort={sortOf(sort, search)}
              onSort={(next) => setSort(`${next.descending ? '-' : ''}${next.key}`)}
              height="calc(100dvh - 190px)"
              rowTone={(tool) => (tool.quarantine ? 'warn' : undefined)}
              empty={rows.length === 0 ? <NoTools /> : <NothingFits onClear={() => navigate(paths.tools())} />}
            />
          )}
        </Card>
      )}
    </Page>
  );
}

function Providers({ tool }: { tool: ToolRow }) {
  const healthy = tool.providers.filter((provider) => provider.healthy).length;
  const names = tool.providers.slice(0, 12).map((provider) => provider.node.name).join(', ');
  return (
    <span title={`${formatCount(healthy)} of ${plural(tool.providers.length, 'provider')} can take a call: ${names}`}>
      {formatCompact(healthy)}<span className="muted"> of {formatCompact(tool.providers.length)}</span>
    </span>
  );
}

function Description({ tool }: { tool: ToolRow }) {
  const text = tool.quarantine ?? tool.description;
  if (!text) return <Nothing />;
  return <span className={tool.quarantine ? styles.warn : undefined} title={text}>{text}</span>;
}

function failureShare({ metrics }: ToolRow): number | null {
  return metrics.calls === 0 ? null : metrics.failures / metrics.calls;
}

function Failures({ tool }: { tool: ToolRow }) {
  const share = failureShare(tool);
  if (share === null) return <Nothing />;
  return <span className={share > 0 ? styles.bad : 'muted'} title={`${plural(tool.metrics.failures, 'call')} of ${formatCount(tool.metrics.calls)}`}>{formatPercent(share)}</span>;
}

/** By name, unless words are searched: then the best match first, until somebody sorts. */
function sortOf(text: string, search: string): Sort | undefined {
  if (text) return text.startsWith('-') ? { key: text.slice(1), descending: true } : { key: text, descending: false };
  return search ? undefined : { key: 'name', descending: false };
}

function NoTools() {
  return (
    <EmptyState icon={<Wrench />} title="No tool is known yet" command="onex node run --name greeter --tool greet -- jq '{text: &quot;Hello, \(.name)&quot;}'">
      A node offers tools when it registers. This makes a tool of a command; it shows here at once.
    </EmptyState>
  );
}

function NothingFits({ onClear }: { onClear: () => void }) {
  return (
    <EmptyState title="No tool fits these filters" action={<Button onClick={onClear}>Clear the filters</Button>}>
      Every word of the search has to be in the name, the tags, the description or the name of a provider.
    </EmptyState>
  );
}
