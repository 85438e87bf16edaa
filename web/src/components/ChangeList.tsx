import { Link } from 'wouter';
import type { Change } from '~/data/changes';
import { classes } from '~/lib/classes';
import { words } from '~/lib/format';
import { paths } from '~/lib/paths';
import { Dot } from '~/ui/Badge';
import { Time } from '~/ui/Time';
import { changeTone, ChangeWords } from './ChangeWords';
import styles from './ChangeList.module.css';

/** Changes as a list of sentences, as they come. */
export function ChangeList({ changes, label }: { changes: readonly Change[]; label: string }) {
  return (
    <ol className={styles.list} aria-label={label}>
      {changes.map((change) => (
        <li key={change.sequence} className={styles.change} title={words(change.type)}>
          <Dot tone={changeTone(change.type)} />
          <span className={classes(styles.words, 'prose')}>
            <ChangeWords change={change} />
          </span>
          <span className={styles.time}>
            <Time at={change.time} />
          </span>
          <Link href={paths.history({ at: change.sequence })} className={styles.place} aria-label={`Change ${change.sequence} in the history`}>
            #{change.sequence}
          </Link>
        </li>
      ))}
    </ol>
  );
}
