import { Link } from 'wouter';
import { callsFailed } from '~/data/about';
import { usePerSecond } from '~/data/hooks';
import type { OverviewQuery } from '~/gql/graphql';
import { formatCount, formatRate } from '~/lib/format';
import { paths } from '~/lib/paths';
import { Grid, Stat } from '~/ui/Card';
import { PartsBar, Sparkline } from '~/ui/Sparkline';
import { Skeleton } from '~/ui/States';
import styles from './Stats.module.css';

type Counts = OverviewQuery['registry']['counts'];

const CALLS = ['TOOL_PROXY_INVOKE'] as const;

export function Stats({ counts }: { counts: Counts | undefined }) {
  return (
    <div className={styles.stats}>
      <NodesStat counts={counts} />
      <Grid min={150}>
        <Stat name={<Link href={paths.tools()}>Tools</Link>} value={counts ? formatCount(counts.tools) : <Skeleton width={40} height={28} />} note={counts && `${formatCount(counts.contracts)} contracts`} />
        <Stat name={<Link href={paths.graph()}>Topics</Link>} value={counts ? formatCount(counts.topics) : <Skeleton width={40} height={28} />} note="named by contracts" />
        <RateStat name="Calls a second" types={CALLS} failures />
        <RateStat name="Changes a second" types={null} />
      </Grid>
    </div>
  );
}

function NodesStat({ counts }: { counts: Counts | undefined }) {
  if (!counts) return <Stat name="Nodes" value={<Skeleton width={60} height={28} />} />;
  const draining = counts.nodes - counts.onlineNodes - counts.declaredNodes - counts.offlineNodes;
  return (
    <Stat
      name={<Link href={paths.nodes()}>Nodes</Link>}
      value={formatCount(counts.nodes)}
      note={
        <PartsBar
          label="Nodes by status"
          parts={[
            { name: 'online', value: counts.onlineNodes, color: 'var(--ok)' },
            { name: 'draining', value: Math.max(0, draining), color: 'var(--warn)' },
            { name: 'offline', value: counts.offlineNodes, color: 'var(--bad)' },
            { name: 'declared', value: counts.declaredNodes, color: 'var(--line-2)' },
          ]}
        />
      }
    />
  );
}

/** The mean over a few seconds: the last one alone jumps. */
const MEAN_SECONDS = 5;

function RateStat({ name, types, failures }: { name: string; types: typeof CALLS | null; failures?: boolean }) {
  const perSecond = usePerSecond(types);
  const failed = usePerSecond(failures ? callsFailed : NOTHING);
  const rate = perSecond.slice(-MEAN_SECONDS - 1, -1).reduce((sum, count) => sum + count, 0) / MEAN_SECONDS;
  const failedCount = failed.reduce((sum, count) => sum + count, 0);
  return (
    <Stat
      name={name}
      value={formatRate(rate)}
      note={failures ? (failedCount > 0 ? <span className={styles.failed}>{formatCount(failedCount)} failed in a minute</span> : 'no failure in a minute') : 'over the last minute'}
      chart={<Sparkline values={perSecond} label={`${name}, over the last minute, now ${formatRate(rate)}`} width={92} maxAtLeast={4} />}
    />
  );
}

const NOTHING = [] as const;
