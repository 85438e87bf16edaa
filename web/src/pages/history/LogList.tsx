import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useLayoutEffect, useRef, type KeyboardEvent } from 'react';
import { changeTone, ChangeWords } from '~/components/ChangeWords';
import type { Change } from '~/data/changes';
import { classes } from '~/lib/classes';
import { formatCount, words } from '~/lib/format';
import { formatDay } from '~/lib/time';
import { Dot } from '~/ui/Badge';
import { Time } from '~/ui/Time';
import { useRowFocus } from '~/ui/useRowFocus';
import styles from './History.module.css';
import type { Log } from './useLog';

const ROW_PX = 38;
/** So near an end, the next page is asked for. */
const NEAR_ROWS = 30;

export interface LogListProps {
  log: Log;
  chosen: number | null;
  onChoose: (change: Change) => void;
}

/** The changes, the latest first, without end in both directions; whoever reads stays where they read. */
export function LogList({ log, chosen, onChoose }: LogListProps) {
  const { entries, older, newer } = log.window;
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- its answers are read while rendering and handed to nobody
  const virtual = useVirtualizer({ count: entries.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 12 });
  const items = virtual.getVirtualItems();
  const firstShown = items[0]?.index ?? 0;
  const lastShown = items.at(-1)?.index ?? 0;
  const focus = useRowFocus(scroller);
  useSteady(scroller, entries.map((entry) => entry.change.sequence), chosen);

  const { loading } = log;
  const wantsOlder = older !== null && lastShown >= entries.length - NEAR_ROWS;
  const wantsNewer = newer !== null && firstShown <= NEAR_ROWS;
  useEffect(() => {
    if (loading !== null) return;
    if (wantsOlder) log.older();
    else if (wantsNewer) log.newer();
  });

  const onKeyDown = (event: KeyboardEvent, at: number) => {
    if (event.target !== event.currentTarget) return;
    const index = focus.from(at);
    const target = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + 12, PageUp: index - 12, Home: 0, End: entries.length - 1 }[event.key];
    const entry = entries[index];
    if (target !== undefined) {
      const to = Math.max(0, Math.min(entries.length - 1, target));
      virtual.scrollToIndex(to);
      focus.go(to);
    } else if ((event.key === 'Enter' || event.key === ' ') && entry) onChoose(entry.change);
    else return;
    event.preventDefault();
  };

  const reachable = Math.max(firstShown, entries.findIndex((entry) => entry.change.sequence === chosen));
  return (
    <div ref={scroller} className={styles.scroller} aria-busy={loading !== null}>
      <ol className={styles.rows} style={{ height: virtual.getTotalSize() }} aria-label="Changes, the latest first" onFocus={focus.stay}>
        {items.map((item) => {
          const change = entries[item.index]?.change;
          if (!change) return null;
          const before = entries[item.index - 1]?.change;
          const newDay = before === undefined || formatDay(before.time) !== formatDay(change.time);
          return (
            <li key={change.sequence} className={styles.item} style={{ transform: `translateY(${item.start}px)` }}>
              <div
                className={classes(styles.row, chosen === change.sequence && styles.chosen)}
                role="group"
                data-index={item.index}
                tabIndex={item.index === reachable ? 0 : -1}
                aria-label={`Change ${change.sequence}, ${words(change.type)}; Enter shows its details`}
                aria-current={chosen === change.sequence ? 'true' : undefined}
                onClick={(event) => !(event.target instanceof Element && event.target.closest('a, button')) && onChoose(change)}
                onKeyDown={(event) => onKeyDown(event, item.index)}
              >
                <span className={styles.when}>
                  {newDay && <span className={styles.day}>{formatDay(change.time)}</span>}
                  <Time at={change.time} as="clock" />
                </span>
                <Dot tone={changeTone(change.type)} />
                <span className={classes(styles.said, 'prose')}><ChangeWords change={change} /></span>
                <span className={styles.actor} title={change.actor}>{change.actor}</span>
                <span className={styles.place}>#{formatCount(change.sequence)}</span>
              </div>
            </li>
          );
        })}
      </ol>
    </div>
  );
}

/** What comes or goes above moves nothing that is read; at the top the latest is seen. The chosen one is scrolled to once. */
function useSteady(scroller: React.RefObject<HTMLDivElement | null>, sequences: readonly number[], chosen: number | null) {
  const before = useRef<readonly number[]>([]);
  useLayoutEffect(() => {
    const element = scroller.current;
    const earlier = before.current;
    before.current = sequences;
    if (!element || sequences[0] === earlier[0]) return;
    if (earlier.length === 0) {
      const index = chosen === null ? -1 : sequences.indexOf(chosen);
      if (index > 3) element.scrollTo({ top: Math.max(0, index * ROW_PX - element.clientHeight / 3) });
      return;
    }
    if (element.scrollTop === 0) return;
    const reading = Math.floor(element.scrollTop / ROW_PX);
    const now = sequences.indexOf(earlier[reading] ?? -1);
    if (now >= 0) element.scrollBy({ top: (now - reading) * ROW_PX });
  });
}
