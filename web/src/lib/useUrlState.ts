import { useCallback } from 'react';
import { useSearchParams } from 'wouter';

/** A piece of a view's state that lives in its address, so that the view as it stands can be linked. */
export function useUrlState(name: string, fallback = ''): [string, (value: string) => void] {
  const [parameters, setParameters] = useSearchParams();
  const set = useCallback(
    (value: string) =>
      setParameters(
        (current) => {
          const next = new URLSearchParams(current);
          if (value === fallback) next.delete(name);
          else next.set(name, value);
          return next;
        },
        // Typing in a filter is not a journey: going back leaves the view.
        { replace: true },
      ),
    [name, fallback, setParameters],
  );
  return [parameters.get(name) ?? fallback, set];
}
