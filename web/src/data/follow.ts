import { stringifyDocument, type TypedDocumentNode } from '@urql/core';
import type { Client as Socket } from 'graphql-ws';
import { codeOf, isRetryable, type GraphQLFault } from './errors';

/** What a stream is doing; `failed` is how many attempts in a row came to nothing. */
export type StreamState =
  | { name: 'connecting'; failed: number }
  | { name: 'open' }
  | { name: 'lost'; retryAt: number; failed: number }
  | { name: 'ended'; fault: GraphQLFault | null };

/**
 * Whether it is gone for longer than a moment: the first attempt to take it up again comes within a third of a second, and
 * mostly succeeds. While it is tried again it is as lost as between two attempts.
 */
export function isLost(state: StreamState): boolean {
  return state.name === 'ended' || (state.name !== 'open' && state.failed >= 2);
}

export interface FollowOptions<Data, Variables> {
  socket: Socket;
  document: TypedDocumentNode<Data, Variables>;
  /** Asked anew at each attempt, so that the stream goes on behind the last place that was seen. */
  variables: () => Variables;
  onData: (data: Data) => void;
  onState: (state: StreamState) => void;
  /** It has no end: where the registry says that it is over, it is asked for again. */
  endless?: boolean;
  /** Answers whether to try again after a refusal that is final by itself, for instance from another place. */
  onRefused?: (fault: GraphQLFault) => boolean;
}

export interface Following {
  stop: () => void;
  /** Tries at once where the stream waits for its next attempt. */
  retryNow: () => void;
}

const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 8_000;
/** A connection that held so long was a good one: the next attempt is a first one. */
const GOOD_AFTER_MS = 5_000;

/** How long to wait where so many attempts have failed before; a little by chance, so that many pages do not come back at once. */
export function backoffMs(failed: number, chance = Math.random()): number {
  const full = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** failed);
  return full * (0.75 + chance / 2);
}

/**
 * Follows a subscription over lost connections.
 *
 * The socket's own retrying sends the same variables again, and would so repeat or miss what came between; here each
 * attempt asks for the place that the stream has reached.
 */
export function follow<Data, Variables extends Record<string, unknown>>(
  options: FollowOptions<Data, Variables>,
): Following {
  const query = stringifyDocument(options.document);
  let stopped = false;
  let failed = 0;
  let openedAt: number | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let close = () => {};

  const end = (fault: GraphQLFault | null) => {
    if (stopped) return;
    stopped = true;
    options.onState({ name: 'ended', fault });
  };

  const lost = () => {
    if (stopped) return;
    if (openedAt !== null && Date.now() - openedAt > GOOD_AFTER_MS) failed = 0;
    openedAt = null;
    const wait = backoffMs(failed);
    failed += 1;
    options.onState({ name: 'lost', retryAt: Date.now() + wait, failed });
    timer = setTimeout(open, wait);
  };

  const refused = (faults: readonly GraphQLFault[]) => {
    const fault = faults[0] ?? { message: 'The registry ended the stream without a word.' };
    // A registry that shuts down ends its subscriptions so; they go on when it is back.
    if (isRetryable(fault) || options.onRefused?.(fault)) lost();
    else end(fault);
  };

  function open() {
    timer = undefined;
    if (stopped) return;
    options.onState({ name: 'connecting', failed });
    let settled = false;
    const settle = (then: () => void) => {
      if (settled) return;
      settled = true;
      then();
    };
    const opened = () => {
      if (settled || stopped) return;
      openedAt ??= Date.now();
      options.onState({ name: 'open' });
    };
    const offConnected = options.socket.on('connected', opened);
    const unsubscribe = options.socket.subscribe<Data>(
      { query, variables: options.variables() },
      {
        next: (result) => {
          if (settled || stopped) return;
          failed = 0;
          if (result.data) options.onData(result.data);
          else if (result.errors) settle(() => refused(result.errors as readonly GraphQLFault[]));
        },
        error: (cause) => {
          offConnected();
          settle(() => {
            if (Array.isArray(cause)) refused(cause as GraphQLFault[]);
            else if (isForbidden(cause)) end({ message: 'A token is needed.', extensions: { code: 'UNAUTHENTICATED' } });
            else lost();
          });
        },
        complete: () => {
          offConnected();
          settle(() => (options.endless ? lost() : end(null)));
        },
      },
    );
    close = () => {
      settled = true;
      offConnected();
      unsubscribe();
    };
    // A socket that other streams hold open says no further `connected`.
    queueMicrotask(() => {
      if (isOpen(options.socket)) opened();
    });
  }

  open();
  return {
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      close();
    },
    retryNow: () => {
      if (timer === undefined) return;
      clearTimeout(timer);
      open();
    },
  };
}

/** Sockets that have been acknowledged and not closed since; see `connection.ts`. */
const openSockets = new WeakSet<Socket>();

export function trackOpen(socket: Socket) {
  socket.on('connected', () => void openSockets.add(socket));
  socket.on('closed', () => void openSockets.delete(socket));
}

function isOpen(socket: Socket): boolean {
  return openSockets.has(socket);
}

/** The registry closes so when it does not take the token, or there is none. */
function isForbidden(cause: unknown): boolean {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  return code === 4401 || code === 4403;
}

/** Whether a stream ended because nobody knows who looks. */
export function wantsToken(state: StreamState): boolean {
  return state.name === 'ended' && state.fault !== null && codeOf(state.fault) === 'UNAUTHENTICATED';
}
