import type { BusStatus, CircuitState, InvocationStatus, LeaseStatus, NodeStatus, TrustState } from '~/gql/enums';
import type { Tone } from '~/ui/Badge';

/** What each state looks like, the same everywhere. */
export const nodeTone: Record<NodeStatus, Tone> = { ONLINE: 'ok', DRAINING: 'warn', OFFLINE: 'bad', DECLARED: 'neutral' };
export const busTone: Record<BusStatus, Tone> = { RUNNING: 'ok', STARTING: 'accent', DEGRADED: 'warn', STOPPED: 'neutral' };
export const trustTone: Record<TrustState, Tone> = { VERIFIED: 'ok', TRUSTED: 'accent', UNTRUSTED: 'neutral' };
export const leaseTone: Record<LeaseStatus, Tone> = { ACTIVE: 'ok', RELEASED: 'neutral', EXPIRED: 'warn', REBOUND: 'accent' };
export const circuitTone: Record<CircuitState, Tone> = { CLOSED: 'ok', HALF_OPEN: 'warn', OPEN: 'bad' };
export const callTone: Record<InvocationStatus, Tone> = {
  PENDING: 'neutral',
  ROUTED: 'accent',
  RUNNING: 'accent',
  SUCCEEDED: 'ok',
  FAILED: 'bad',
  TIMED_OUT: 'bad',
  CANCELLED: 'neutral',
  REJECTED: 'warn',
};

/** What a state means, for whoever hovers over it. */
export const nodeStatusMeaning: Record<NodeStatus, string> = {
  ONLINE: 'Registered by a live instance, and heard of within its lifetime.',
  DRAINING: 'Live, and wants no new calls.',
  OFFLINE: 'Its registration lapsed: it was not heard of in time.',
  DECLARED: 'Known from a contract; no live instance has spoken yet.',
};
