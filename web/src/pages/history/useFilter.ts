import { useMemo } from 'react';
import { useQuery } from 'urql';
import { about } from '~/data/about';
import type { Change } from '~/data/changes';
import type { EventType } from '~/gql/enums';
import type { EventFilter } from '~/gql/graphql';
import { titled } from '~/lib/format';
import { NodeByNameDocument } from './queries';

export const HISTORY_ADDRESS = {
  view: 'timeline',
  /** A kind of change, or one of the groups below. */
  type: '',
  /** By id or name. */
  node: '',
  actor: '',
  correlation: '',
  since: '',
  until: '',
  /** A place in the log, or an instant. */
  at: '',
  /** The earlier one, where two are compared. */
  from: '',
} as const satisfies Record<string, string>;
export type HistoryAddress = Record<keyof typeof HISTORY_ADDRESS, string>;

const GROUPS = {
  nodes: { label: 'Nodes', types: about.nodes },
  contracts: { label: 'Contracts', types: about.contracts },
  tools: { label: 'Tools', types: about.tools },
  calls: { label: 'Calls', types: about.calls },
  ports: { label: 'Ports', types: about.ports },
  buses: { label: 'Buses', types: [...about.buses, ...about.subscribers] },
  notices: { label: 'Events on buses', types: about.busNotices },
  access: { label: 'Access', types: about.access },
} as const satisfies Record<string, { label: string; types: readonly EventType[] }>;

export const TYPE_OPTIONS = [
  { value: '', label: 'Every change' },
  ...Object.entries(GROUPS).flatMap(([value, { label, types }]) => [
    { value, label },
    ...types.map((type) => ({ value: type, label: `\u2003${titled(type)}` })),
  ]),
];

function typesOf(type: string): readonly EventType[] | null {
  if (type in GROUPS) return GROUPS[type as keyof typeof GROUPS].types;
  return type ? [type as EventType] : null;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export interface LogFilter {
  /** What the registry filters by. */
  asked: EventFilter;
  /** The same for changes that come live. */
  keep: (change: Change) => boolean;
}

/** The filter that the address says; null while a node's name is looked up. */
export function useFilter(address: HistoryAddress): { filter: LogFilter | null; unknownNode: boolean } {
  const { type, node, actor, correlation, since, until } = address;
  const byName = node !== '' && !UUID.test(node);
  const [{ data, error }] = useQuery({ query: NodeByNameDocument, variables: { name: node }, pause: !byName });
  const found = byName ? (data?.node?.id ?? null) : node || null;
  const waiting = byName && !data && !error;
  const filter = useMemo(() => (waiting ? null : filterOf({ type, node: found, actor, correlation, since, until })), [waiting, type, found, actor, correlation, since, until]);
  return { filter, unknownNode: byName && !waiting && found === null };
}

export function filterOf(said: { type: string; node: string | null; actor: string; correlation: string; since: string; until: string }): LogFilter {
  const types = typesOf(said.type);
  const since = said.since ? Date.parse(said.since) : -Infinity;
  const until = said.until ? Date.parse(said.until) : Infinity;
  return {
    asked: {
      types: types ? [...types] : null,
      nodeId: said.node,
      actor: said.actor || null,
      correlationId: said.correlation || null,
      since: said.since || null,
      until: said.until || null,
    },
    keep: (change) => {
      const time = Date.parse(change.time);
      return (
        (types === null || types.includes(change.type)) &&
        (said.node === null || change.nodeId === said.node) &&
        (!said.correlation || change.correlationId === said.correlation) &&
        time >= since && time < until &&
        (!said.actor || change.actor === said.actor)
      );
    },
  };
}
