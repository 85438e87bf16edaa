import { CircleCheck, CircleHelp } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { OverviewBusesQuery, OverviewCallsQuery, OverviewPortsQuery, OverviewQuery } from '~/gql/graphql';
import { useIsLost } from '~/data/hooks';
import { classes } from '~/lib/classes';
import { formatPercent, plural } from '~/lib/format';
import { paths } from '~/lib/paths';
import { BusLink, NodeLink, ToolLink } from '~/components/Links';
import { Dot, type Tone } from '~/ui/Badge';
import { Skeleton } from '~/ui/States';
import styles from './Attention.module.css';

interface Known {
  here: OverviewQuery | undefined;
  calls: OverviewCallsQuery | undefined;
  ports: OverviewPortsQuery | undefined;
  buses: OverviewBusesQuery | undefined;
}

interface Concern {
  key: string;
  tone: Tone;
  words: ReactNode;
}

/** Whether it is well, in one glance: what wants a look, worst first, or that nothing does. */
export function Attention({ here, calls, ports, buses }: Known) {
  const isLost = useIsLost();
  if (!here || !calls || !ports || !buses) return <Skeleton height={44} />;
  const concerns = [...ofNodes(here), ...ofBuses(buses), ...ofCalls(calls), ...ofTools(here), ...ofPorts(ports), ...ofContracts(here)];
  concerns.sort((a, b) => Number(b.tone === 'bad') - Number(a.tone === 'bad'));
  if (concerns.length === 0) {
    const Icon = isLost ? CircleHelp : CircleCheck;
    const well = here.registry.counts.nodes === 0 ? 'The registry is up, and nobody has registered yet.' : 'All is well.';
    return (
      <div className={classes(styles.band, isLost ? styles.unknown : styles.well)} role="status">
        <Icon aria-hidden="true" />
        {isLost ? 'How it is now is not known. When it was last heard, all was well.' : well}
      </div>
    );
  }
  return (
    <section className={styles.band} aria-label="What wants a look">
      <ul className={styles.concerns}>
        {concerns.map((concern) => (
          <li key={concern.key}>
            <Dot tone={concern.tone} />
            <span className="prose">{concern.words}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function ofNodes(here: OverviewQuery): Concern[] {
  const count = here.registry.counts.offlineNodes;
  if (count === 0) return [];
  const [first] = here.offline.nodes;
  const words =
    count === 1 && first ? (
      <>
        <NodeLink id={first.id} name={first.name} /> is offline
      </>
    ) : (
      <>
        <Link href={paths.nodes({ status: 'OFFLINE' })}>{plural(count, 'node')}</Link> are offline
      </>
    );
  return [{ key: 'offline', tone: 'bad', words }];
}

function ofBuses({ buses }: OverviewBusesQuery): Concern[] {
  return buses.nodes.flatMap((bus): Concern[] => {
    const link = (
      <>
        Bus <BusLink name={bus.name} />
      </>
    );
    if (bus.status === 'DEGRADED') return [{ key: bus.id, tone: 'bad', words: <>{link} lost its carrier{bus.reason ? `: ${bus.reason}` : ''}</> }];
    if (bus.metrics.dropped > 0) return [{ key: bus.id, tone: 'warn', words: <>{link} lost {plural(bus.metrics.dropped, 'event')}</> }];
    return [];
  });
}

/** Beyond one call in twenty of the last hundred, failing is no longer a matter of chance. */
const FAILED_SHARE = 0.05;

function ofCalls({ invocations }: OverviewCallsQuery): Concern[] {
  const ended = invocations.nodes.filter((call) => !['PENDING', 'ROUTED', 'RUNNING', 'CANCELLED'].includes(call.status));
  const failed = ended.filter((call) => call.status !== 'SUCCEEDED');
  if (failed.length === 0 || failed.length / ended.length <= FAILED_SHARE) return [];
  return [{ key: 'calls', tone: 'bad', words: <>{formatPercent(failed.length / ended.length)} of the last {plural(ended.length, 'call')} failed</> }];
}

function ofTools({ tools }: OverviewQuery): Concern[] {
  return tools.nodes
    .filter((tool) => tool.quarantine !== null)
    .map((tool) => ({
      key: tool.id,
      tone: 'warn',
      words: (
        <>
          <ToolLink name={tool.name} version={tool.version} /> gets no calls: {tool.quarantine}
        </>
      ),
    }));
}

/** A pool this full is worth a look before it is empty. */
const POOL_FULL = 0.9;

function ofPorts({ portPools }: OverviewPortsQuery): Concern[] {
  return portPools
    .filter((pool) => pool.size > 0 && 1 - pool.available / pool.size >= POOL_FULL)
    .map((pool) => ({
      key: `${pool.host} ${pool.transport}`,
      tone: pool.available === 0 ? 'bad' : 'warn',
      words: (
        <>
          <Link href={paths.ports()}>
            {plural(pool.available, 'port')} of {pool.size}
          </Link>{' '}
          left on {pool.host} for {pool.transport}
        </>
      ),
    }));
}

function ofContracts({ contractCollisions }: OverviewQuery): Concern[] {
  if (contractCollisions.length === 0) return [];
  const [first] = contractCollisions;
  return [
    {
      key: 'collisions',
      tone: 'warn',
      words: (
        <>
          Nodes disagree on {plural(contractCollisions.length, 'name and version', 'names and versions')}, such as{' '}
          <Link href={paths.nodes({ search: first?.name })}>
            {first?.name} {first?.version}
          </Link>
        </>
      ),
    },
  ];
}
