import { plural } from '~/lib/format';
import { Card } from '~/ui/Card';
import { Checkbox } from '~/ui/Field';
import { EDGE_KINDS, EDGE_LOOKS, type LinkKind } from './looks';
import { CycleMark, EdgeMark, MissingMark } from './Marks';
import type { GraphModel } from './model';
import { NodeButton } from './NodeButton';
import styles from './Panel.module.css';

export interface LegendProps {
  model: GraphModel;
  counts: Record<LinkKind, number>;
  hidden: ReadonlySet<LinkKind>;
  onHide: (kinds: readonly LinkKind[]) => void;
  alone: boolean;
  onAlone: (shown: boolean) => void;
}

/** What the lines mean, and which of them are shown. */
export function Legend({ model, counts, hidden, onHide, alone, onAlone }: LegendProps) {
  const toggle = (kind: LinkKind, shown: boolean) => onHide(EDGE_KINDS.filter((each) => (each === kind ? !shown : hidden.has(each))));
  return (
    <Card title="What the lines mean">
      <ul className={styles.legend}>
        {EDGE_KINDS.map((kind) => (
          <li key={kind}>
            <Checkbox checked={!hidden.has(kind)} onChange={(shown) => toggle(kind, shown)} label={EDGE_LOOKS[kind].title} />
            <EdgeMark kind={kind} />
            <span className={styles.count}>{counts[kind]}</span>
          </li>
        ))}
        {model.alone.length > 0 && (
          <li>
            <Checkbox checked={alone} onChange={onAlone} label="Nodes without lines" />
            <span className={styles.count}>{model.alone.length}</span>
          </li>
        )}
      </ul>
      <p className={styles.hint}>An arrow leads from who gives to who takes.</p>
    </Card>
  );
}

/** What wants a look in the whole picture: names that nobody registered, and cycles. */
export function Concerns({ model, onChoose }: { model: GraphModel; onChoose: (id: string) => void }) {
  const missing = [...model.items.values()].filter((item) => item.missing);
  if (missing.length === 0 && model.cycles.length === 0) {
    return (
      <Card title="Wants a look">
        <p className="muted">Nothing: no name is missing, and nothing feeds itself.</p>
      </Card>
    );
  }
  return (
    <Card title="Wants a look">
      {missing.length > 0 && (
        <section className={styles.group}>
          <h3>
            <MissingMark /> {plural(missing.length, 'name')} that nobody registered
          </h3>
          <ul className={styles.list}>
            {missing.map((item) => (
              <li key={item.id}>
                <NodeButton name={item.name} onChoose={() => onChoose(item.id)} />
              </li>
            ))}
          </ul>
        </section>
      )}
      {model.cycles.length > 0 && (
        <section className={styles.group}>
          <h3>
            <CycleMark /> {plural(model.cycles.length, 'cycle')}
          </h3>
          <ul className={styles.list}>
            {model.cycles.map((cycle) => (
              <li key={cycle.join()}>
                <NodeButton name={cycleName(model, cycle)} onChoose={() => onChoose(cycle[0] ?? '')} />
              </li>
            ))}
          </ul>
        </section>
      )}
    </Card>
  );
}

function cycleName(model: GraphModel, cycle: readonly string[]): string {
  const first = model.items.get(cycle[0] ?? '')?.name ?? '';
  return cycle.length === 1 ? `${first} feeds itself` : `${first} and ${plural(cycle.length - 1, 'other')}`;
}
