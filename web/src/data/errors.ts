import type { CombinedError } from '@urql/core';

/** An error of an answer, as the registry writes it. */
export interface GraphQLFault {
  message: string;
  path?: readonly (string | number)[];
  extensions?: Record<string, unknown>;
}

/** What a person is told of an error: in words, with the code, and what to do about it. */
export interface Fault {
  code: string;
  message: string;
  hint: string | null;
  details: Record<string, unknown> | null;
  retryable: boolean;
}

export function codeOf(fault: GraphQLFault): string {
  const code = fault.extensions?.['code'];
  return typeof code === 'string' ? code : 'UNKNOWN';
}

export function isRetryable(fault: GraphQLFault): boolean {
  return fault.extensions?.['retryable'] === true;
}

const HINTS: Record<string, string> = {
  UNREACHABLE: 'Is the registry running? This page tries again by itself as soon as it answers.',
  UNAUTHENTICATED: 'Give a token: onex token create --name me --role viewer makes one.',
  PERMISSION_DENIED: 'The token’s roles do not allow this. Somebody with the role admin can do it, or make a token that can.',
  RATE_LIMITED: 'Wait a moment, then try again.',
  UNAVAILABLE: 'Nothing was changed. Try again in a moment; onex doctor says what is wrong if it lasts.',
  INTERNAL: 'The registry’s own log has the cause, under the id in the details.',
  TOO_COMPLEX: 'Ask for less: filter, or look at a part with a depth.',
  CURSOR_EXPIRED: 'That part of the history is no longer kept. Choose a later place.',
  NODE_FROZEN: 'A validator froze the registration. Its word has to change first.',
  PORT_UNAVAILABLE: 'Leave the number open to get another one.',
  PORT_EXHAUSTED: 'Release leases that are no longer used, or widen the band in the configuration.',
  LEASE_EXPIRED: 'Allocate anew; with the same key the number is the same where it can be had.',
  BUS_STOPPED: 'Start the bus first.',
  BUS_UNREACHABLE: 'The broker is away. The registry tries it again by itself.',
  EVENT_INVALID_SCHEMA: 'The details name the place in the event that does not fit its topic’s schema.',
};

export function faultFrom(fault: GraphQLFault): Fault {
  const code = codeOf(fault);
  const details = fault.extensions?.['details'];
  return {
    code,
    message: sentence(fault.message),
    hint: HINTS[code] ?? null,
    details: typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : null,
    retryable: isRetryable(fault),
  };
}

/** The one translator of what went wrong with a request. */
export function faultOf(error: CombinedError): Fault {
  const first = error.graphQLErrors[0];
  if (first) return faultFrom({ message: first.message, extensions: first.extensions });
  const status = statusOf(error);
  if (status === 401) return { ...faultFrom({ message: 'The registry wants to know who asks.', extensions: { code: 'UNAUTHENTICATED' } }) };
  const message = status === null ? 'The registry cannot be reached.' : `The registry answered with HTTP status ${status}.`;
  return { code: 'UNREACHABLE', message, hint: HINTS['UNREACHABLE'] ?? null, details: null, retryable: true };
}

function statusOf(error: CombinedError): number | null {
  const response: unknown = error.response;
  if (typeof response !== 'object' || response === null || !('status' in response)) return null;
  return typeof response.status === 'number' ? response.status : null;
}

/** The registry's messages begin small and end without a full stop, as parts of a line; on a page they stand alone. */
function sentence(message: string): string {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}
