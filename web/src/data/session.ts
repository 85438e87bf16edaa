/**
 * The token that says who looks, and whether the registry wants one.
 *
 * It lives in the tab's session storage: it survives a reload, and is gone with the tab.
 */
const KEY = 'onex.token';

export interface Session {
  token: string | null;
  /** Why a token is asked for; null where none is. */
  wanted: string | null;
  /** Counts the tokens that were given: another one means another connection. */
  version: number;
}

let session: Session = { token: read(), wanted: null, version: 0 };
const listeners = new Set<() => void>();

function read(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function change(next: Session) {
  session = next;
  for (const listener of listeners) listener();
}

export const sessionStore = {
  get: () => session,
  subscribe: (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
  /** The registry refused what was shown, or nothing was. */
  want(reason: string) {
    if (session.wanted === null) change({ ...session, wanted: reason });
  },
  /** Null signs out. */
  give(token: string | null) {
    try {
      if (token === null) sessionStorage.removeItem(KEY);
      else sessionStorage.setItem(KEY, token);
    } catch {
      // Kept in memory alone, then: a reload asks again.
    }
    change({ token, wanted: null, version: session.version + 1 });
  },
};
