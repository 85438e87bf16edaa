import { Crosshair, X, Zap } from 'lucide-react';
import { NodeLink } from '~/components/Links';
import { NodeStatusOf } from '~/components/StatusOf';
import type { Fault } from '~/data/errors';
import { groupBy } from '~/lib/groupBy';
import { plural, titled } from '~/lib/format';
import { Badge } from '~/ui/Badge';
import { Button, IconButton } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { ErrorState, SkeletonLines } from '~/ui/States';
import { EDGE_LOOKS } from './looks';
import { EdgeMark } from './Marks';
import type { GraphItem, GraphLink, GraphModel } from './model';
import { NodeButton } from './NodeButton';
import type { Affected } from './useGraph';
import styles from './Panel.module.css';

export interface NodePanelProps {
  item: GraphItem;
  model: GraphModel;
  focused: boolean;
  onFocus: () => void;
  onChoose: (id: string) => void;
  onClose: (() => void) | null;
  breaks: boolean;
  onBreaks: (on: boolean) => void;
  affected: readonly Affected[] | null;
  fault: Fault | null;
}

/** The chosen node: what it is, who feeds it, whom it feeds, and what breaks if it stops. */
export function NodePanel({ item, model, focused, onFocus, onChoose, onClose, breaks, onBreaks, affected, fault }: NodePanelProps) {
  const cycle = item.cycle === null ? undefined : model.cycles[item.cycle];
  return (
    <Card
      title={<span className={styles.name} title={item.name}>{item.name}</span>}
      actions={onClose && <IconButton size="small" label="Choose nothing" icon={<X aria-hidden="true" />} onClick={onClose} />}
    >
      <div className={styles.node}>
        <div className={styles.badges}>
          {item.status ? <NodeStatusOf status={item.status} /> : <Badge tone="bad">Missing</Badge>}
          {item.kind && <Badge>{titled(item.kind)}</Badge>}
          {cycle && <Badge tone="warn">{cycle.length === 1 ? 'Feeds itself' : `In a cycle of ${cycle.length}`}</Badge>}
          {!item.missing && <span className={styles.open}><NodeLink id={item.id} name="Open its page" /></span>}
        </div>
        {item.missing && <p>A contract needs this name, and nobody has registered it. What needs it may not work.</p>}
        {item.description && <p className={styles.description}>{item.description}</p>}
        {!item.missing && (
          <div className={styles.actions}>
            <Button size="small" icon={<Crosshair aria-hidden="true" />} onClick={onFocus} disabled={focused}>
              {focused ? 'In focus' : 'Focus'}
            </Button>
            <Button size="small" variant={breaks ? 'danger' : 'plain'} aria-pressed={breaks} icon={<Zap aria-hidden="true" />} onClick={() => onBreaks(!breaks)}>
              What breaks if this stops
            </Button>
          </div>
        )}
        {breaks && !item.missing && <Impact item={item} affected={affected} fault={fault} onChoose={onChoose} />}
        {cycle && cycle.length > 1 && (
          <section className={styles.group}>
            <h3>Feed each other</h3>
            <ul className={styles.list}>
              {cycle.map((id) => (
                <li key={id}><NodeButton name={model.items.get(id)?.name ?? id} onChoose={() => onChoose(id)} /></li>
              ))}
            </ul>
          </section>
        )}
        <Neighbours title="Fed by" none="Nothing feeds it." links={model.into.get(item.id) ?? []} end="from" model={model} onChoose={onChoose} />
        <Neighbours title="Feeds" none="It feeds nothing." links={model.outOf.get(item.id) ?? []} end="to" model={model} onChoose={onChoose} />
      </div>
    </Card>
  );
}

interface NeighboursProps {
  title: string;
  none: string;
  links: readonly GraphLink[];
  /** Which end of the link is the neighbour. */
  end: 'from' | 'to';
  model: GraphModel;
  onChoose: (id: string) => void;
}

function Neighbours({ title, none, links, end, model, onChoose }: NeighboursProps) {
  return (
    <section className={styles.group}>
      <h3>
        {title} {links.length > 0 && <span className={styles.count}>{links.length}</span>}
      </h3>
      {links.length === 0 && <p className="muted">{none}</p>}
      <ul className={styles.list}>
        {links.map((link) => (
          <li key={link.key}>
            <NodeButton name={model.items.get(link[end])?.name ?? link[end]} onChoose={() => onChoose(link[end])} />
            <ul className={styles.reasons}>
              {link.reasons.map((reason) => (
                <li key={`${reason.kind}${reason.via}`} title={reason.via}>
                  <EdgeMark kind={reason.kind} />
                  <span className="truncate">
                    {EDGE_LOOKS[reason.kind][end === 'from' ? 'gives' : 'takes']} {reason.via}
                    {reason.seen && <span className="muted"> · seen</span>}
                  </span>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Impact({ item, affected, fault, onChoose }: { item: GraphItem; affected: readonly Affected[] | null; fault: Fault | null; onChoose: (id: string) => void }) {
  if (affected === null) return fault ? <ErrorState fault={fault} /> : <SkeletonLines count={3} label="Looking for what breaks" />;
  const steps = [...groupBy(affected, (node) => node.depth)].sort(([a], [b]) => a - b);
  return (
    <section className={styles.impact} aria-label={`What breaks if ${item.name} stops`}>
      <p role="status">
        {affected.length === 0 ? 'Nothing depends on it: it can stop without harm to others.' : `If it stops, ${plural(affected.length, 'node')} may break.`}
      </p>
      {steps.map(([depth, nodes]) => (
        <div key={depth}>
          <h3>{depth === 1 ? 'At once' : `After ${plural(depth, 'step')}`} <span className={styles.count}>{nodes.length}</span></h3>
          <ul className={styles.list}>
            {nodes.map((node) => (
              <li key={node.id}><NodeButton name={node.name} onChoose={() => onChoose(node.id)} /></li>
            ))}
          </ul>
        </div>
      ))}
    </section>
  );
}
