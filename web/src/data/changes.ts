import type { Client as Socket } from 'graphql-ws';
import { graphql } from '~/gql';
import type { EventType } from '~/gql/enums';
import type { WatchSubscription } from '~/gql/graphql';
import { codeOf, type GraphQLFault } from './errors';
import { follow, wantsToken, type Following, type StreamState } from './follow';
import { sessionStore } from './session';

export type Change = WatchSubscription['registryEvents'];

const WatchDocument = graphql(`
  subscription Watch($after: Sequence) {
    registryEvents(after: $after) {
      sequence
      type
      time
      actor
      correlationId
      nodeId
      metadata
    }
  }
`);

/** How often those who listen are told at most: often enough to look live, seldom enough for a thousand changes a second. */
const FLUSH_MS = 100;
/** And where very many come: what changes faster cannot be read anyway. */
const FLUSH_BUSY_MS = 300;
const BUSY_BATCH = 40;
/** The latest changes that are kept for lists of them. */
const RECENT_MAX = 500;
/** For how many seconds changes are counted. */
export const RATE_SECONDS = 120;

export interface ChangesSnapshot {
  /** The last place that was seen: what the registry has added up to, as far as this page knows. */
  sequence: number;
  /** The latest first. */
  recent: readonly Change[];
}

/** Null instead of a batch: nobody knows what was missed, so everything is to be asked for anew. */
export type ChangeListener = (batch: readonly Change[] | null) => void;

/**
 * The registry's changes, for the whole page: one subscription that everything live hangs on.
 *
 * It follows from a place in the log, so that what happens between a query's answer and the subscription's start, or
 * while the connection is lost, comes all the same. Those who listen are told in batches.
 */
export class ChangeStream {
  #socket: Socket;
  #following: Following | null = null;
  #state: StreamState = { name: 'connecting', failed: 0 };
  #snapshot: ChangesSnapshot = { sequence: 0, recent: [] };
  #sequence = 0;
  #waiting: Change[] = [];
  #isBusy = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #listeners = new Set<ChangeListener>();
  #watchers = new Set<() => void>();
  #counts = new Map<number, Map<EventType, number>>();

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Begins behind a place; `recent` is what there was before it, the latest first. */
  start(after: number, recent: readonly Change[]) {
    if (this.#following) return;
    this.#sequence = after;
    this.#snapshot = { sequence: after, recent };
    this.#following = follow({
      socket: this.#socket,
      document: WatchDocument,
      endless: true,
      variables: () => ({ after: this.#sequence }),
      onData: (data) => this.#take(data.registryEvents),
      onState: (state) => this.#become(state),
      onRefused: (fault) => this.#jump(fault),
    });
    window.addEventListener('online', this.retryNow);
    this.#announce();
  }

  stop() {
    this.#following?.stop();
    this.#following = null;
    clearTimeout(this.#timer);
    window.removeEventListener('online', this.retryNow);
  }

  retryNow = () => this.#following?.retryNow();

  /** Batches of changes, in order. */
  listen = (listener: ChangeListener) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** That something of `snapshot` or `state` is other than before. */
  watch = (watcher: () => void) => {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  };

  snapshot = () => this.#snapshot;
  state = () => this.#state;

  /** How many changes of these types came in each of the last seconds, the oldest first. All types where none is named. */
  perSecond(types: readonly EventType[] | null, seconds = 60): number[] {
    const now = Math.floor(Date.now() / 1000);
    return Array.from({ length: seconds }, (_, index) => {
      const counts = this.#counts.get(now - seconds + 1 + index);
      if (!counts) return 0;
      let sum = 0;
      for (const [type, count] of counts) if (types === null || types.includes(type)) sum += count;
      return sum;
    });
  }

  #take(change: Change) {
    this.#sequence = change.sequence;
    this.#waiting.push(change);
    this.#timer ??= setTimeout(() => this.#flush(), this.#isBusy ? FLUSH_BUSY_MS : FLUSH_MS);
  }

  #flush() {
    this.#timer = undefined;
    const batch = this.#waiting;
    this.#waiting = [];
    this.#isBusy = batch.length > BUSY_BATCH;
    this.#count(batch);
    const recent = [...batch.slice(-RECENT_MAX).reverse(), ...this.#snapshot.recent].slice(0, RECENT_MAX);
    this.#snapshot = { sequence: this.#sequence, recent };
    for (const listener of this.#listeners) listener(batch);
    this.#announce();
  }

  #count(batch: readonly Change[]) {
    const second = Math.floor(Date.now() / 1000);
    const counts = this.#counts.get(second) ?? new Map<EventType, number>();
    for (const change of batch) counts.set(change.type, (counts.get(change.type) ?? 0) + 1);
    this.#counts.set(second, counts);
    for (const old of this.#counts.keys()) if (old < second - RATE_SECONDS) this.#counts.delete(old);
  }

  #become(state: StreamState) {
    this.#state = state;
    if (wantsToken(state)) sessionStore.want('The registry wants to know who looks.');
    this.#announce();
  }

  /** What came behind the last place is no longer kept: go on from where it is, and let everything be asked anew. */
  #jump(fault: GraphQLFault): boolean {
    if (codeOf(fault) !== 'CURSOR_EXPIRED') return false;
    const details = fault.extensions?.['details'];
    const oldest = typeof details === 'object' && details !== null && 'oldest' in details ? details.oldest : null;
    if (typeof oldest !== 'number' || oldest <= this.#sequence) return false;
    this.#sequence = oldest;
    for (const listener of this.#listeners) listener(null);
    return true;
  }

  #announce() {
    for (const watcher of this.#watchers) watcher();
  }
}
