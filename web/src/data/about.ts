import type { EventType } from '~/gql/enums';

/** Which changes a view depends on, by what they are about. */
export const about = {
  nodes: [
    'NODE_REGISTERED', 'NODE_UPDATED', 'NODE_REJOINED', 'NODE_EXPIRED', 'NODE_GRACE_GRANTED', 'NODE_DEREGISTERED',
    'TRUST_CHANGED',
  ],
  contracts: ['CONTRACT_REGISTERED', 'CONTRACT_COLLISION'],
  tools: ['TOOL_REGISTERED', 'TOOL_REMOVED', 'TOOL_EXPIRED'],
  calls: [
    'TOOL_PROXY_INVOKE', 'TOOL_PROXY_ACCEPTED', 'TOOL_PROXY_REJECTED', 'TOOL_PROXY_RESULT', 'TOOL_PROXY_ERROR',
    'TOOL_PROXY_TIMEOUT',
  ],
  ports: [
    'PORT_ALLOCATED', 'PORT_RENEWED', 'PORT_GRACE_GRANTED', 'PORT_RELEASED', 'PORT_EXPIRED', 'PORT_REBOUND',
    'PORT_CONFLICT',
  ],
  buses: ['BUS_CREATED', 'BUS_STARTED', 'BUS_STOPPED', 'BUS_DEGRADED', 'BUS_DELETED', 'TOPIC_DEFINED'],
  subscribers: ['SUBSCRIBER_ATTACHED', 'SUBSCRIBER_DETACHED'],
  busNotices: [
    'EVENT_INVALID_SCHEMA', 'EVENT_DROPPED', 'EVENT_BACKPRESSURE', 'EVENT_SUBSCRIBER_SLOW', 'EVENT_RETRY',
    'EVENT_RETRY_LIMIT_EXCEEDED', 'EVENT_REPLAY_REQUESTED', 'EVENT_REPLAY_DELIVERED', 'EVENT_REPLAY_FAILED',
  ],
  access: ['TOKEN_CREATED', 'TOKEN_REVOKED', 'ACCESS_DENIED'],
} as const satisfies Record<string, readonly EventType[]>;

/** How a call ended. */
export const callsFailed = ['TOOL_PROXY_REJECTED', 'TOOL_PROXY_ERROR', 'TOOL_PROXY_TIMEOUT'] as const satisfies readonly EventType[];
export const callsEnded = ['TOOL_PROXY_RESULT', ...callsFailed] as const satisfies readonly EventType[];
