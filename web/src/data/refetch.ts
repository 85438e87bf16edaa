/** Between two refetches of one query: four a second at most. */
const INTERVAL_MIN_MS = 250;
/** And never more than a fifth of the time, where a query is dear. */
const DUTY = 5;

/**
 * Coalesces requests to fetch again: one at a time, seldom enough, and none while nobody looks.
 *
 * What is asked for while a fetch is under way leads to one more afterwards, so the last state is always fetched.
 */
export class Refetcher {
  #fetch: () => void;
  #dirty = false;
  #beganAt: number | null = null;
  #notBefore = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(fetch: () => void) {
    this.#fetch = fetch;
    document.addEventListener('visibilitychange', this.#consider);
  }

  request() {
    this.#dirty = true;
    this.#consider();
  }

  /** An answer came. */
  settled() {
    if (this.#beganAt === null) return;
    const now = performance.now();
    this.#notBefore = Math.max(this.#beganAt + INTERVAL_MIN_MS, now + (now - this.#beganAt) * (DUTY - 1));
    this.#beganAt = null;
    this.#consider();
  }

  dispose() {
    clearTimeout(this.#timer);
    document.removeEventListener('visibilitychange', this.#consider);
  }

  #consider = () => {
    if (!this.#dirty || this.#beganAt !== null || this.#timer !== undefined || document.hidden) return;
    const wait = this.#notBefore - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#consider();
      }, wait);
      return;
    }
    this.#dirty = false;
    this.#beganAt = performance.now();
    this.#fetch();
  };
}
