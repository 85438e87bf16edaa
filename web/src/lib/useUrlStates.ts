import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'wouter';

/**
 * Several pieces of a view's state that live in its address, set together: what equals its default is not written.
 * `defaults` is a constant of the module. `journey`: going back leads to what was before.
 */
export function useUrlStates<Name extends string>(
  defaults: Readonly<Record<Name, string>>,
): [Record<Name, string>, (next: Partial<Record<Name, string>>, journey?: boolean) => void] {
  const [parameters, setParameters] = useSearchParams();
  const values = useMemo(() => {
    const names = Object.keys(defaults) as Name[];
    return Object.fromEntries(names.map((name) => [name, parameters.get(name) ?? defaults[name]])) as Record<Name, string>;
  }, [defaults, parameters]);
  const set = useCallback(
    (next: Partial<Record<Name, string>>, journey = false) =>
      setParameters(
        (current) => {
          const changed = new URLSearchParams(current);
          for (const [name, value] of Object.entries<string | undefined>(next)) {
            if (value === undefined || value === defaults[name as Name]) changed.delete(name);
            else changed.set(name, value);
          }
          return changed;
        },
        { replace: !journey },
      ),
    [defaults, setParameters],
  );
  return [values, set];
}
