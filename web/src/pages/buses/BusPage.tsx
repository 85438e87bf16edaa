import { Play, Square, Trash2, Waypoints } from 'lucide-react';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { RouteProps } from '~/app/routes';
import { Page } from '~/components/Page';
import { BusStatusOf } from '~/components/StatusOf';
import { about } from '~/data/about';
import { useAction } from '~/data/hooks';
import { useBusMetrics, withMetrics } from '~/data/useBusMetrics';
import { useLiveQuery } from '~/data/useLiveQuery';
import type { BusQuery } from '~/gql/graphql';
import { titled } from '~/lib/format';
import { paths } from '~/lib/paths';
import { useUrlState } from '~/lib/useUrlState';
import { Badge } from '~/ui/Badge';
import { Button } from '~/ui/Button';
import { Dialog, DialogActions } from '~/ui/Dialog';
import { EmptyState, ErrorState, Notice, SkeletonLines } from '~/ui/States';
import { Tabs } from '~/ui/Tabs';
import { toast } from '~/ui/Toast';
import { BusEvents } from './BusEvents';
import { BusHistory } from './BusHistory';
import { BusSettings } from './BusSettings';
import { BusStats } from './BusStats';
import { BusSubscribers } from './BusSubscribers';
import { BusTopics } from './BusTopics';
import { BusDocument, DeleteBusDocument, StartBusDocument, StopBusDocument } from './queries';
import { isRegistryBus } from './registryBus';

export type BusDetails = NonNullable<BusQuery['bus']>;

const DEPENDS_ON = [...about.buses, ...about.subscribers, ...about.busNotices] as const;
const NO_BUS: readonly BusDetails[] = [];

export default function BusPage({ params }: RouteProps) {
  const name = params['name'] ?? '';
  const { data, fault, loading, refresh } = useLiveQuery({ query: BusDocument, variables: { name }, dependsOn: DEPENDS_ON });
  const asked = data?.bus ? [data.bus] : NO_BUS;
  // Topics and subscribers are other than before whenever the bus is.
  const [bus] = withMetrics(asked, useBusMetrics(asked.map((each) => each.name), refresh));
  const [tab, setTab] = useUrlState('tab', 'events');
  const above = <Link href={paths.buses()}>Buses</Link>;

  if (!bus) {
    return (
      <Page title={name} above={above}>
        {fault && <ErrorState fault={fault} onRetry={refresh} />}
        {loading && <SkeletonLines count={8} label="Loading the bus" />}
        {data && (
          <EmptyState icon={<Waypoints />} title={`No bus is called ${name}`} command={`onex bus create ${name} --kind local`}>
            It may have been deleted. This makes one of that name:
          </EmptyState>
        )}
      </Page>
    );
  }
  return (
    <Page
      title={bus.name}
      above={above}
      badges={
        <>
          <BusStatusOf status={bus.status} reason={bus.reason} />
          <Badge>{titled(bus.kind)}</Badge>
        </>
      }
      lede={bus.purpose}
      actions={!isRegistryBus(bus) && <Actions bus={bus} />}
    >
      {fault && <ErrorState fault={fault} onRetry={refresh} />}
      {bus.reason && bus.status !== 'RUNNING' && <Notice tone={bus.status === 'DEGRADED' ? 'bad' : 'neutral'}>{bus.reason}</Notice>}
      <BusStats bus={bus} />
      <Tabs
        label="Parts of the bus"
        value={tab}
        onChange={setTab}
        tabs={[
          { value: 'events', label: 'Events', content: <BusEvents bus={bus} /> },
          { value: 'topics', label: <>Topics <Badge>{bus.topics.length}</Badge></>, content: <BusTopics bus={bus} /> },
          { value: 'subscribers', label: <>Subscribers <Badge>{bus.subscribers.length}</Badge></>, content: <BusSubscribers bus={bus} /> },
          ...(isRegistryBus(bus) ? [] : [{ value: 'history', label: 'History', content: <BusHistory busId={bus.id} /> }]),
          { value: 'settings', label: 'Settings', content: <BusSettings bus={bus} /> },
        ]}
      />
    </Page>
  );
}

function Actions({ bus }: { bus: BusDetails }) {
  const start = useAction(StartBusDocument);
  const stop = useAction(StopBusDocument);
  const remove = useAction(DeleteBusDocument);
  const [asking, setAsking] = useState<'stop' | 'delete' | null>(null);
  const [, navigate] = useLocation();
  const variables = { busId: bus.id };

  const run = async (action: typeof start | typeof stop | typeof remove, done: string) => {
    setAsking(null);
    const { fault } = await action.run(variables);
    if (fault) toast.failed(fault);
    else toast.done(done);
    if (!fault && action === remove) navigate(paths.buses());
  };

  return (
    <>
      {bus.status === 'STOPPED' ? (
        <>
          <Button variant="danger" icon={<Trash2 aria-hidden="true" />} busy={remove.running} onClick={() => setAsking('delete')}>
            Delete
          </Button>
          <Button variant="primary" icon={<Play aria-hidden="true" />} busy={start.running} onClick={() => run(start, `${bus.name} runs`)}>
            Start
          </Button>
        </>
      ) : (
        <Button icon={<Square aria-hidden="true" />} busy={stop.running} onClick={() => setAsking('stop')}>
          Stop
        </Button>
      )}
      <Dialog
        open={asking !== null}
        onClose={() => setAsking(null)}
        title={asking === 'delete' ? `Delete the bus ${bus.name}?` : `Stop the bus ${bus.name}?`}
        description={
          asking === 'delete'
            ? 'Its settings, the schemas of its topics and what it keeps are gone. A broker’s own stream stays.'
            : 'Nothing more is taken in, what waits is still given, and everybody who listens is told.'
        }
      >
        <DialogActions>
          <Button onClick={() => setAsking(null)}>Cancel</Button>
          <Button variant="danger" onClick={() => (asking === 'delete' ? run(remove, `${bus.name} is deleted`) : run(stop, `${bus.name} stands still`))}>
            {asking === 'delete' ? 'Delete' : 'Stop'}
          </Button>
        </DialogActions>
      </Dialog>
    </>
  );
}
