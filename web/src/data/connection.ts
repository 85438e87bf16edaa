import { cacheExchange, Client, fetchExchange, mapExchange, type Exchange } from '@urql/core';
import { createClient, type Client as Socket } from 'graphql-ws';
import { ChangeStream } from './changes';
import { faultOf } from './errors';
import { trackOpen } from './follow';
import { sessionStore } from './session';
import { askStart, type StartResult } from './start';

/** All that a page needs to speak with the registry as one principal. Another token is another connection. */
export interface Connection {
  client: Client;
  /** Keeps no answers: for what is asked once, or kept by whoever asks. */
  uncached: Client;
  /** Asked as soon as there is a connection, before anything is drawn. */
  firstStart: Promise<StartResult>;
  socket: Socket;
  changes: ChangeStream;
  close: () => void;
}

const ENDPOINT = '/graphql';
/** How long a connection may take to stand: a registry that hangs takes it and says nothing. */
const OPEN_MS = 10_000;
const PING_MS = 12_000;
const PONG_MS = 6_000;

export function connect(token: string | null): Connection {
  const authorization: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
  const refused = mapExchange({
    onError(error) {
      const fault = faultOf(error);
      if (fault.code === 'UNAUTHENTICATED') sessionStore.want(fault.message);
    },
  });
  const speak = (exchanges: Exchange[]) =>
    new Client({ url: ENDPOINT, preferGetMethod: false, fetchOptions: { headers: authorization }, exchanges });
  const uncached = speak([refused, fetchExchange]);
  const socket = createSocket(authorization);
  const changes = new ChangeStream(socket);
  return {
    client: speak([refused, cacheExchange, fetchExchange]),
    uncached,
    firstStart: askStart(uncached),
    socket,
    changes,
    close: () => {
      changes.stop();
      void socket.dispose();
    },
  };
}

function createSocket(connectionParams: Record<string, string>): Socket {
  const url = new URL(ENDPOINT, window.location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  // A connection may die without a word, as when a machine sleeps: a ping without its pong tells.
  let overdue: ReturnType<typeof setTimeout> | undefined;
  const socket = createClient({
    url: url.href,
    connectionParams,
    lazy: true,
    lazyCloseTimeout: 2_000,
    retryAttempts: 0,
    keepAlive: PING_MS,
    on: {
      connecting: () => {
        overdue = setTimeout(() => socket.terminate(), OPEN_MS);
      },
      connected: () => clearTimeout(overdue),
      ping: (received) => {
        if (!received) overdue = setTimeout(() => socket.terminate(), PONG_MS);
      },
      pong: (received) => {
        if (received) clearTimeout(overdue);
      },
      closed: () => clearTimeout(overdue),
    },
  });
  trackOpen(socket);
  return socket;
}

/** The connection as it is now: made anew whenever another token was given. */
export interface ConnectionStore {
  get: () => Connection;
  subscribe: (listener: () => void) => () => void;
}

export function connectionStore(): ConnectionStore {
  let version = sessionStore.get().version;
  let connection = connect(sessionStore.get().token);
  const listeners = new Set<() => void>();
  sessionStore.subscribe(() => {
    const session = sessionStore.get();
    if (session.version === version) return;
    version = session.version;
    connection.close();
    connection = connect(session.token);
    for (const listener of listeners) listener();
  });
  return {
    get: () => connection,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
