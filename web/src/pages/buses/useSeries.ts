import { useState } from 'react';
import { useSecond } from '~/lib/clock';

/** What a number was in each of the last seconds, as far as this page has watched it; the oldest first. */
export function useSeries(value: number, seconds = 60): readonly number[] {
  const now = useSecond();
  const [series, setSeries] = useState<{ at: number; values: readonly number[] }>(() => ({ at: now, values: Array<number>(seconds).fill(0) }));
  if (series.at === now) return series.values;
  const passed = Math.min(seconds, now - series.at);
  const next = { at: now, values: [...series.values, ...Array<number>(passed).fill(value)].slice(-seconds) };
  setSeries(next);
  return next.values;
}
