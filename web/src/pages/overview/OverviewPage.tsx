import { Columns, Page } from '~/components/Page';
import { about } from '~/data/about';
import { useLiveQuery } from '~/data/useLiveQuery';
import { ErrorState } from '~/ui/States';
import { Time } from '~/ui/Time';
import { Attention } from './Attention';
import { BusesCard } from './BusesCard';
import { CallsCard } from './CallsCard';
import { ChangesCard } from './ChangesCard';
import { PortsCard } from './PortsCard';
import { OverviewBusesDocument, OverviewCallsDocument, OverviewDocument, OverviewPortsDocument } from './queries';
import { Stats } from './Stats';

const NODES_AND_TOOLS = [...about.nodes, ...about.tools, ...about.contracts, 'TOOL_PROXY_ERROR', 'TOOL_PROXY_TIMEOUT'] as const;
const BUSES = [...about.buses, ...about.subscribers, ...about.busNotices] as const;
const NONE = {};

export default function OverviewPage() {
  const here = useLiveQuery({ query: OverviewDocument, variables: NONE, dependsOn: NODES_AND_TOOLS });
  const calls = useLiveQuery({ query: OverviewCallsDocument, variables: NONE, dependsOn: about.calls });
  const ports = useLiveQuery({ query: OverviewPortsDocument, variables: NONE, dependsOn: about.ports });
  const buses = useLiveQuery({ query: OverviewBusesDocument, variables: NONE, dependsOn: BUSES });
  const registry = here.data?.registry;
  return (
    <Page
      title="Overview"
      lede={
        registry && (
          <>
            onex {registry.version}, up since <Time at={registry.startedAt} as="clock" />
          </>
        )
      }
    >
      {here.fault && <ErrorState fault={here.fault} onRetry={here.refresh} />}
      <Attention here={here.data} calls={calls.data} ports={ports.data} buses={buses.data} />
      <Stats counts={registry?.counts} />
      <Columns
        main={
          <>
            <ChangesCard />
            <CallsCard calls={calls.data} fault={calls.fault} />
          </>
        }
        side={
          <>
            <BusesCard buses={buses.data} fault={buses.fault} />
            <PortsCard ports={ports.data} fault={ports.fault} />
          </>
        }
      />
    </Page>
  );
}
