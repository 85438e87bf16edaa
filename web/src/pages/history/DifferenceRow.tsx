import { ArrowRight } from 'lucide-react';
import { Link } from 'wouter';
import { titled } from '~/lib/format';
import { paths } from '~/lib/paths';
import { Badge } from '~/ui/Badge';
import type { Difference } from './difference';
import styles from './History.module.css';

/** A thing that came, went or says something else, with what it said before and after. */
export function DifferenceRow({ difference }: { difference: Difference }) {
  const { thing, sort, name, fields } = difference;
  return (
    <div className={styles.difference}>
      <span><Badge>{titled(thing)}</Badge></span>
      <div className={styles.fields}>
        <Link href={pathOf(difference)} title={name} className="truncate">{name}</Link>
        {fields.map(({ field, before, after }) => (
          <div key={field} className={styles.field}>
            <span className="muted">{field}</span>
            <del>{before || 'nothing'}</del>
            <ArrowRight aria-hidden="true" />
            <ins>{after || 'nothing'}</ins>
          </div>
        ))}
      </div>
      <span className="visually-hidden">{sort}</span>
    </div>
  );
}

/** What is gone has no page any more, but a history. */
function pathOf({ thing, sort, id, name }: Difference): string {
  if (thing === 'node') return sort === 'removed' ? paths.history({ node: id }) : paths.node(id);
  const [first = '', second] = name.split(' ');
  if (thing === 'tool') return paths.tool(first, second);
  return thing === 'bus' ? paths.bus(name) : paths.ports({ port: Number(first) });
}
