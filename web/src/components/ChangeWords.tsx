import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Change } from '~/data/changes';
import { useNameOf } from '~/data/names';
import type { EventType } from '~/gql/enums';
import { formatSeconds, plural, words } from '~/lib/format';
import { paths } from '~/lib/paths';
import type { Tone } from '~/ui/Badge';
import { NodeLink, NodeLinkById, ToolLink } from './Links';

/** What a change says, in a sentence with links. */
export function ChangeWords({ change }: { change: Change }): ReactNode {
  const said = new Said(change.metadata);
  return SENTENCES[change.type]({ said, node: <NodeOf change={change} said={said} />, tool: <ToolOf said={said} /> });
}

const QUIET: Tone = 'neutral';
const TONES: Partial<Record<EventType, Tone>> = {
  NODE_REGISTERED: 'ok', NODE_REJOINED: 'ok', NODE_EXPIRED: 'bad', NODE_DEREGISTERED: 'warn', NODE_GRACE_GRANTED: 'warn',
  TOOL_REGISTERED: 'ok', TOOL_REMOVED: 'warn', TOOL_EXPIRED: 'bad', CONTRACT_COLLISION: 'warn', TRUST_CHANGED: 'accent',
  PORT_ALLOCATED: 'accent', PORT_EXPIRED: 'warn', PORT_CONFLICT: 'bad', PORT_REBOUND: 'accent',
  TOOL_PROXY_INVOKE: 'accent', TOOL_PROXY_RESULT: 'ok', TOOL_PROXY_ERROR: 'bad', TOOL_PROXY_TIMEOUT: 'bad', TOOL_PROXY_REJECTED: 'bad',
  BUS_CREATED: 'ok', BUS_STARTED: 'ok', BUS_DEGRADED: 'bad', BUS_STOPPED: 'warn', BUS_DELETED: 'warn',
  EVENT_INVALID_SCHEMA: 'warn', EVENT_DROPPED: 'bad', EVENT_BACKPRESSURE: 'warn', EVENT_SUBSCRIBER_SLOW: 'warn', EVENT_RETRY: 'warn',
  EVENT_RETRY_LIMIT_EXCEEDED: 'bad', EVENT_REPLAY_FAILED: 'bad', ACCESS_DENIED: 'bad',
};

/** How a change looks: what is well, what wants a look, what went wrong. */
export function changeTone(type: EventType): Tone {
  return TONES[type] ?? QUIET;
}

/** The details of a change, read by name: what is not there is empty, since an older log may say less. */
class Said {
  #values: Record<string, unknown>;

  constructor(metadata: unknown) {
    this.#values = typeof metadata === 'object' && metadata !== null ? (metadata as Record<string, unknown>) : {};
  }

  text(name: string): string {
    const value = this.#values[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  }

  count(name: string): number {
    const value = this.#values[name];
    return typeof value === 'number' ? value : 0;
  }

  is(name: string): boolean {
    return this.#values[name] === true;
  }

  within(name: string): Said {
    return new Said(this.#values[name]);
  }
}

interface Sentence {
  said: Said;
  node: ReactNode;
  tool: ReactNode;
}

const SENTENCES: Record<EventType, (sentence: Sentence) => ReactNode> = {
  CONTRACT_REGISTERED: ({ said }) => <>Contract {said.text('name')} {said.text('version')} taken in</>,
  NODE_REGISTERED: ({ said, node }) => <>{node} registered{said.is('live') ? '' : ', declared by its contract'}</>,
  NODE_UPDATED: ({ said, node }) => <>{node} {said.is('draining') ? 'is draining' : 'updated'}</>,
  NODE_REJOINED: ({ node }) => <>{node} is back</>,
  NODE_EXPIRED: ({ node }) => <>{node} was not heard of in time</>,
  NODE_GRACE_GRANTED: ({ node }) => <>{node} has time to be heard of again</>,
  NODE_DEREGISTERED: ({ said, node }) => <>{node} left{because(said.text('reason'))}</>,
  TOOL_REGISTERED: ({ node, tool }) => <>{node} offers {tool}</>,
  TOOL_REMOVED: ({ node, tool }) => <>{node} offers {tool} no longer</>,
  TOOL_EXPIRED: ({ node, tool }) => <>The offer of {tool} by {node} lapsed</>,
  CONTRACT_COLLISION: ({ said }) => <>Nodes say different things of {words(said.text('subject'))} {said.text('name')} {said.text('version')}</>,
  TRUST_CHANGED: ({ said, node }) => <>{node} is {words(said.text('state'))} to a validator</>,
  PORT_ALLOCATED: ({ said }) => <>Port <Port number={said.text('port')} /> leased to {said.text('allocatedBy')}</>,
  PORT_RENEWED: ({ said }) => <><PortOf said={said} /> renewed{said.count('ttlSeconds') > 0 ? ` for ${formatSeconds(said.count('ttlSeconds'))}` : ''}</>,
  PORT_GRACE_GRANTED: ({ said }) => <><PortOf said={said} /> has time to be renewed</>,
  PORT_RELEASED: ({ said }) => <><PortOf said={said} /> released</>,
  PORT_EXPIRED: ({ said }) => <><PortOf said={said} /> expired</>,
  PORT_REBOUND: ({ said }) => <><PortOf said={said} /> exchanged for another</>,
  PORT_CONFLICT: ({ said }) => <>Port <Port number={said.text('port')} /> is in somebody’s use{because(said.text('reason'))}</>,
  TOOL_PROXY_INVOKE: ({ said, tool }) => <>{tool} called by {said.text('caller')}</>,
  TOOL_PROXY_ACCEPTED: ({ said, node, tool }) => <>{tool} given to {node}{said.count('attempt') > 1 ? `, attempt ${said.count('attempt')}` : ''}</>,
  TOOL_PROXY_REJECTED: ({ said, tool }) => <>{tool} reached no provider: {said.within('error').text('message')}</>,
  TOOL_PROXY_RESULT: ({ said, node, tool }) => <>{tool} answered by {node}{said.is('late') ? ', too late' : ''}</>,
  TOOL_PROXY_ERROR: ({ said, node, tool }) => <>{tool} failed at {node}{said.is('late') ? ', too late to count' : `: ${said.within('error').text('message')}`}</>,
  TOOL_PROXY_TIMEOUT: ({ node, tool }) => <>{tool} got no answer from {node} in time</>,
  TOKEN_CREATED: ({ said }) => <>Token {said.text('name')} made</>,
  TOKEN_REVOKED: ({ said }) => <>Token {said.text('name')} revoked</>,
  ACCESS_DENIED: ({ said }) => <>Refused: {said.text('action')} {said.text('resource')}</>,
  BUS_CREATED: ({ said }) => <><Bus said={said} first /> created</>,
  BUS_STARTED: ({ said }) => <><Bus said={said} first /> runs</>,
  BUS_STOPPED: ({ said }) => <><Bus said={said} first /> stopped{because(said.text('reason'))}</>,
  BUS_DEGRADED: ({ said }) => <><Bus said={said} first /> lost its carrier{because(said.text('reason'))}</>,
  BUS_DELETED: ({ said }) => <>Bus {said.text('name')} deleted</>,
  TOPIC_DEFINED: ({ said }) => <>Topic {said.text('topic')} defined on <Bus said={said} /></>,
  SUBSCRIBER_ATTACHED: ({ said }) => <>{said.text('name')} listens on <Bus said={said} /></>,
  SUBSCRIBER_DETACHED: ({ said }) => <>{said.text('name')} listens on <Bus said={said} /> no longer</>,
  EVENT_INVALID_SCHEMA: ({ said }) => <>{plural(said.count('count'), 'event')} on <Bus said={said} /> did not fit{because(said.text('reason'))}</>,
  EVENT_DROPPED: ({ said }) => <>{plural(said.count('count'), 'event')} lost on <Bus said={said} />{because(said.text('reason'))}</>,
  EVENT_BACKPRESSURE: ({ said }) => <>Publishers wait on <Bus said={said} /></>,
  EVENT_SUBSCRIBER_SLOW: ({ said }) => <>A subscriber of <Bus said={said} /> does not keep up</>,
  EVENT_RETRY: ({ said }) => <>{plural(said.count('count'), 'event')} delivered again on <Bus said={said} /></>,
  EVENT_RETRY_LIMIT_EXCEEDED: ({ said }) => <>{plural(said.count('count'), 'event')} given up on <Bus said={said} /></>,
  EVENT_REPLAY_REQUESTED: ({ said }) => <>A replay asked for on <Bus said={said} /></>,
  EVENT_REPLAY_DELIVERED: ({ said }) => <>A replay delivered on <Bus said={said} /></>,
  EVENT_REPLAY_FAILED: ({ said }) => <>A replay failed on <Bus said={said} />{because(said.text('reason'))}</>,
};

function because(reason: string): string {
  return reason ? `: ${reason}` : '';
}

function NodeOf({ change, said }: { change: Change; said: Said }) {
  if (!change.nodeId) return <>a node</>;
  const name = change.type === 'NODE_REGISTERED' || change.type === 'NODE_UPDATED' ? said.text('name') : '';
  return name ? <NodeLink id={change.nodeId} name={name} /> : <NodeLinkById id={change.nodeId} />;
}

function ToolOf({ said }: { said: Said }) {
  const name = said.text('tool') || said.text('name');
  return name ? <ToolLink name={name} version={said.text('version') || undefined} /> : <>a tool</>;
}

function Port({ number }: { number: string }) {
  return <Link href={paths.ports({ port: Number(number) })}>{number}</Link>;
}

function PortOf({ said }: { said: Said }) {
  const number = useNameOf('lease', said.text('leaseId') || null);
  return number ? <>Port <Port number={number} /></> : <>A port lease</>;
}

function Bus({ said, first }: { said: Said; first?: boolean }) {
  const known = useNameOf('bus', said.text('name') ? null : said.text('busId') || null);
  const name = said.text('name') || known;
  if (!name) return first ? 'A bus' : 'a bus';
  return <>{first ? 'Bus' : 'bus'} <Link href={paths.bus(name)}>{name}</Link></>;
}
