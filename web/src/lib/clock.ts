import { useSyncExternalStore } from 'react';

let second = Math.floor(Date.now() / 1000);
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Just after each full second, so that what counts down is right to the second. */
function wait() {
  timer = setTimeout(tick, 1_010 - (Date.now() % 1_000));
}

function tick() {
  wait();
  // Nobody sees a hidden page; it catches up at the first tick after it is shown.
  if (document.hidden) return;
  second = Math.floor(Date.now() / 1000);
  for (const listener of listeners) listener();
}

function listen(listener: () => void) {
  listeners.add(listener);
  if (timer === undefined) wait();
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearTimeout(timer);
    timer = undefined;
  };
}

/** The second that it is, in Unix time: one clock ticks for the whole page, so all that shows time changes at once. */
export function useSecond(): number {
  return useSyncExternalStore(listen, () => second);
}
