import { formatCount, formatSeconds, titled, words } from '~/lib/format';
import { Card, Fact, Facts, Grid } from '~/ui/Card';
import { Id } from '~/ui/Copy';
import { Json } from '~/ui/Json';
import { Nothing, Time } from '~/ui/Time';
import type { BusDetails } from './BusPage';

export function BusSettings({ bus }: { bus: BusDetails }) {
  const { policy, kept } = bus;
  return (
    <Grid min={340}>
      <Card title="Bus">
        <Facts>
          <Fact name="Id"><Id id={bus.id} part="all" /></Fact>
          <Fact name="Kind">{titled(bus.kind)}</Fact>
          <Fact name="Broker">{bus.endpointUri ?? <Nothing />}</Fact>
          <Fact name="Created"><Time at={bus.createdAt} /></Fact>
          <Fact name="Runs since"><Time at={bus.startedAt} /></Fact>
          <Fact name="Ports">{bus.portLeases.length > 0 ? bus.portLeases.map((lease) => lease.port).join(', ') : <Nothing />}</Fact>
          {bus.endpointUri !== null && (
            <Fact name="While the broker is away">
              {policy.queuesWhileAway ? 'what is published waits, 30 seconds at most' : 'publishing is refused'}
            </Fact>
          )}
          <Fact name="Only trusted">{bus.trustedOnly ? 'yes: events of other nodes are held back' : 'no'}</Fact>
          <Fact name="Schemas">{bus.contractSchemas ? 'defined, else from contracts' : 'as they are defined'}</Fact>
          <Fact name="What does not fit">{bus.schemaMode === 'STRICT' ? 'is refused' : 'is delivered, and marked'}</Fact>
        </Facts>
      </Card>
      <Card title="Queues and history">
        <Facts>
          <Fact name="Queue">{formatCount(policy.queueCapacity)} events for a subscriber</Fact>
          <Fact name="When full">{words(policy.overflow)}</Fact>
          <Fact name="Keeps">{formatCount(policy.historyEvents)} events of a topic, for {formatSeconds(policy.historySeconds)}</Fact>
          <Fact name="Kept now">{kept ? `${formatCount(kept.events)} events` : <Nothing />}</Fact>
          <Fact name="Delivers">{formatCount(policy.maxDeliveries)} times at most, where nobody acknowledges</Fact>
          <Fact name="Again after">{formatCount(policy.retryBackoffMs)} ms, then twice as long each time</Fact>
        </Facts>
      </Card>
      <Card title="Metadata">
        <Json value={bus.metadata} label="Metadata" />
      </Card>
    </Grid>
  );
}
