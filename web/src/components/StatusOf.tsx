import type { BusStatus, InvocationStatus, LeaseStatus, NodeStatus, TrustState } from '~/gql/enums';
import { titled } from '~/lib/format';
import { Badge, Status } from '~/ui/Badge';
import { busTone, callTone, leaseTone, nodeStatusMeaning, nodeTone, trustTone } from './statuses';

export const NodeStatusOf = ({ status }: { status: NodeStatus }) => (
  <Status tone={nodeTone[status]} title={nodeStatusMeaning[status]}>
    {titled(status)}
  </Status>
);
export const BusStatusOf = ({ status, reason }: { status: BusStatus; reason?: string | null }) => (
  <Status tone={busTone[status]} title={reason ?? undefined}>
    {titled(status)}
  </Status>
);
export const CallStatusOf = ({ status }: { status: InvocationStatus }) => <Status tone={callTone[status]}>{titled(status)}</Status>;
export const LeaseStatusOf = ({ status }: { status: LeaseStatus }) => <Status tone={leaseTone[status]}>{titled(status)}</Status>;
/** Most nodes are vouched for by nobody: that is said without a ground of its own. */
export const TrustOf = ({ state }: { state: TrustState }) =>
  state === 'UNTRUSTED' ? <span className="muted">{titled(state)}</span> : <Badge tone={trustTone[state]}>{titled(state)}</Badge>;
