import { Badge } from '~/ui/Badge';
import type { Described } from './schema';
import styles from './SchemaTree.module.css';

/** A schema as a list of its members, each with its own below it. */
export function SchemaTree({ whole }: { whole: Described }) {
  const alone = whole.members.length + whole.variants.length === 0;
  return (
    <div className={styles.tree}>
      <Particulars of={whole} />
      {alone && whole.bounds.length + whole.values.length === 0 && !whole.description && <p className="muted">{whole.type === 'object' ? 'An object with any members.' : `Any ${whole.type}.`}</p>}
      <Below of={whole} />
    </div>
  );
}

function Below({ of }: { of: Described }) {
  return (
    <>
      {of.members.length > 0 && (
        <ul className={styles.members}>
          {of.members.map((member, index) => (
            <Member key={`${member.name} ${index}`} member={member} />
          ))}
        </ul>
      )}
      {of.variants.length > 0 && (
        <div className={styles.variants}>
          <p className="muted">One of these shapes:</p>
          <ul className={styles.members}>
            {of.variants.map((variant, index) => (
              <Member key={`${variant.name} ${index}`} member={variant} isShape />
            ))}
          </ul>
        </div>
      )}
    </>
  );
}

function Member({ member, isShape }: { member: Described; isShape?: boolean }) {
  return (
    <li className={styles.member}>
      <div className={styles.head}>
        {isShape ? <b>{member.name}</b> : <code className={styles.name}>{member.name}</code>}
        {member.type !== member.name && <span className={styles.type}>{member.type}</span>}
        {member.required && <Badge tone="accent">required</Badge>}
        {member.deprecated && <Badge tone="warn">deprecated</Badge>}
      </div>
      <Particulars of={member} />
      <Below of={member} />
    </li>
  );
}

function Particulars({ of }: { of: Described }) {
  return (
    <>
      {of.description && <p className={styles.description}>{of.description}</p>}
      {of.bounds.length > 0 && <p className={styles.bounds}>{of.bounds.join(' · ')}</p>}
      {of.values.length > 0 && <Values words="One of" values={of.values} />}
      {of.preset !== null && <Values words="Left out" values={[of.preset]} />}
      {of.examples.length > 0 && <Values words="Such as" values={of.examples} />}
    </>
  );
}

function Values({ words, values }: { words: string; values: readonly string[] }) {
  return (
    <p className={styles.bounds}>
      {words}{' '}
      {values.map((value, index) => (
        <span key={index}>
          <code className={styles.value}>{value === '' ? '""' : value}</code>{' '}
        </span>
      ))}
    </p>
  );
}
