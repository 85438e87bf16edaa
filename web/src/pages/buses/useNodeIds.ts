import { useEffect, useState } from 'react';
import { useConnection } from '~/data/hooks';
import { manyRequest } from '~/data/many';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export interface NodeIds {
  ids: readonly string[];
  /** Names that no node has. */
  unknown: readonly string[];
  waiting: boolean;
}

/** The ids of nodes that are named, some of them by their ids. */
export function useNodeIds(named: readonly string[]): NodeIds {
  const { uncached } = useConnection();
  const key = named.join('\n');
  const [found, setFound] = useState<{ key: string; byName: ReadonlyMap<string, string> }>({ key: '', byName: new Map() });
  const names = named.filter((name) => !UUID.test(name));
  const asked = names.join('\n');
  useEffect(() => {
    if (asked === '') return;
    let over = false;
    const wanted = asked.split('\n');
    const { query, variables } = manyRequest(wanted, (name) => `node(by: {name: ${name}}) { id }`, { type: 'String!' });
    void uncached.query<Record<string, { id: string } | null>>(query, variables).toPromise().then(({ data }) => {
      if (over) return;
      const byName = new Map(wanted.flatMap((name, index) => {
        const id = data?.[`n${index}`]?.id;
        return id === undefined ? [] : [[name, id] as const];
      }));
      setFound({ key, byName });
    });
    return () => {
      over = true;
    };
  }, [uncached, asked, key]);
  const waiting = asked !== '' && found.key !== key;
  const ids = named.flatMap((name) => (UUID.test(name) ? [name] : (found.byName.get(name) ?? [])));
  return { ids, waiting, unknown: waiting ? [] : names.filter((name) => !found.byName.has(name)) };
}
