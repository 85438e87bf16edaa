import { MousePointerClick } from 'lucide-react';
import { NodeLink } from '~/components/Links';
import { LeaseStatusOf } from '~/components/StatusOf';
import type { Change } from '~/data/changes';
import { useLiveQuery } from '~/data/useLiveQuery';
import type { EventType } from '~/gql/enums';
import { plural } from '~/lib/format';
import { about } from '~/data/about';
import { Status } from '~/ui/Badge';
import { Button } from '~/ui/Button';
import { Card, Fact, Facts } from '~/ui/Card';
import { Id } from '~/ui/Copy';
import { EmptyState } from '~/ui/States';
import { Nothing, Time, TimeLeft } from '~/ui/Time';
import type { NumberState } from './band';
import { stateOf } from './BandPicture';
import { LeaseActions } from './LeaseActions';
import { LeaseTimeLeft } from './LeaseTimeLeft';
import type { Lease } from './leaseSource';
import styles from './NumberCard.module.css';
import { NumberHistoryDocument } from './queries';
import type { Pool, PoolNumbers, Quarantine } from './usePools';

/** What is known of one number: who has it, or how to get it, and who had it before. */
export function NumberCard({ number, pool, numbers, onAllocate }: { number: number | null; pool: Pool; numbers: PoolNumbers; onAllocate: (number: number) => void }) {
  if (number === null) {
    return (
      <Card title="One number">
        <div className={styles.content}>
          <EmptyState icon={<MousePointerClick />} title="Choose a number">
            Click one in the picture, or go there by the arrow keys; <kbd>n</kbd> and <kbd>p</kbd> lead to the next and the previous one in use.
          </EmptyState>
        </div>
      </Card>
    );
  }
  const lease = numbers.leases.get(number);
  const keptBack = numbers.keptBack.get(number);
  const state = stateOf(numbers, number);
  const inBand = number >= pool.from && number <= pool.to;
  return (
    <Card title={`Number ${number}`} note={`${pool.host}, ${pool.transport}`}>
      <div className={styles.content}>
        {lease ? (
          <>
            <LeaseFacts lease={lease} />
            <LeaseActions lease={lease} withWords />
          </>
        ) : (
          <>
            <Status tone={state === 'quarantined' ? 'warn' : 'neutral'}>{inBand ? STATES[state] : 'Outside the band'}</Status>
            {keptBack ? <KeptBack quarantine={keptBack} /> : <p className="muted">{inBand ? MEANINGS[state] : 'It can be leased all the same, by asking for it.'}</p>}
            {state !== 'reserved' && (
              <div>
                <Button onClick={() => onAllocate(number)}>Allocate {number}</Button>
              </div>
            )}
          </>
        )}
        <Before number={number} host={pool.host} />
      </div>
    </Card>
  );
}

const STATES: Record<NumberState, string> = { free: 'Free', leased: 'Leased', quarantined: 'Kept back', reserved: 'Reserved' };
const MEANINGS: Record<NumberState, string> = {
  free: 'Nobody leases it here. Whether something listens there is looked at when it is leased.',
  leased: '',
  quarantined: '',
  reserved: 'The configuration keeps it out: nobody gets it.',
};

function KeptBack({ quarantine: { until, reason } }: { quarantine: Quarantine }) {
  return (
    <>
      <p className="muted">{reason ? `It is kept back because ${reason}.` : 'Nobody else gets it for a while.'} Who had it last may have it back at once.</p>
      <Facts>
        <Fact name="Free again in"><TimeLeft until={until} over="a moment" /></Fact>
      </Facts>
    </>
  );
}

function LeaseFacts({ lease }: { lease: Lease }) {
  return (
    <Facts>
      <Fact name="State"><LeaseStatusOf status={lease.status} /></Fact>
      <Fact name="Time left"><LeaseTimeLeft lease={lease} /></Fact>
      <Fact name="Holder">{lease.allocatedBy}</Fact>
      <Fact name="Purpose">{lease.purpose ?? <Nothing />}</Fact>
      {lease.key && <Fact name="Key">{lease.key}</Fact>}
      <Fact name="Protocol">{lease.protocol}{lease.transports.length > 1 ? ', TCP and UDP alike' : ''}</Fact>
      {lease.node && <Fact name="Goes with"><NodeLink id={lease.node.id} name={lease.node.name} /></Fact>}
      {lease.topics.length > 0 && <Fact name="Topics">{lease.topics.join(', ')}</Fact>}
      <Fact name="Granted"><Time at={lease.allocatedAt} /></Fact>
      <Fact name="Renewed">{lease.renewals === 0 ? 'never' : <>{plural(lease.renewals, 'time')}, last <Time at={lease.lastHeartbeatAt} /></>}</Fact>
      {lease.graceUntil && <Fact name="Grace until"><Time at={lease.graceUntil} /></Fact>}
      <Fact name="Looked at">{lease.probed ? 'found free just before' : 'not before it was granted'}</Fact>
      <Fact name="Requester"><Id id={lease.requesterId} /></Fact>
      <Fact name="Lease"><Id id={lease.id} part="end" /></Fact>
    </Facts>
  );
}

const PORTS: readonly EventType[] = about.ports;

/** The leases that were on the number before. */
function Before({ number, host }: { number: number; host: string }) {
  const { data } = useLiveQuery({ query: NumberHistoryDocument, variables: { port: number, host }, dependsOn: (change: Change) => PORTS.includes(change.type) });
  const ended = data ? [...data.released.nodes, ...data.expired.nodes, ...data.rebound.nodes].sort((a, b) => (b.endedAt ?? '').localeCompare(a.endedAt ?? '')) : [];
  if (ended.length === 0) return null;
  return (
    <section className={styles.before}>
      <h3>Before</h3>
      <ul>
        {ended.slice(0, 8).map((lease) => (
          <li key={lease.id}>
            <LeaseStatusOf status={lease.status} />
            <span className="truncate" title={`${lease.allocatedBy}: ${lease.purpose ?? ''}`}>{lease.purpose ?? lease.allocatedBy}</span>
            <span className="muted"><Time at={lease.endedAt} /></span>
          </li>
        ))}
      </ul>
    </section>
  );
}
