import { GitCompareArrows, History, X } from 'lucide-react';
import { changeTone, ChangeWords } from '~/components/ChangeWords';
import { NodeLinkById } from '~/components/Links';
import type { Change } from '~/data/changes';
import { formatCount, titled } from '~/lib/format';
import { Badge } from '~/ui/Badge';
import { Button, IconButton } from '~/ui/Button';
import { Card, Fact, Facts } from '~/ui/Card';
import { Json } from '~/ui/Json';
import { Time } from '~/ui/Time';
import styles from './History.module.css';

export interface ChangeDetailsProps {
  change: Change;
  onClose: () => void;
  onThen: () => void;
  onSince: () => void;
  onCorrelation: (id: string) => void;
  onNode: (id: string) => void;
}

/** A change with all that is known of it. */
export function ChangeDetails({ change, onClose, onThen, onSince, onCorrelation, onNode }: ChangeDetailsProps) {
  const { correlationId, nodeId } = change;
  const said = Object.entries(recordOf(change.metadata));
  const simple = said.filter(([, value]) => value !== null && typeof value !== 'object');
  return (
    <Card title={`Change #${formatCount(change.sequence)}`} actions={<IconButton size="small" label="Close" icon={<X aria-hidden="true" />} onClick={onClose} />}>
      <div className={styles.details}>
        <div><Badge tone={changeTone(change.type)}>{titled(change.type)}</Badge></div>
        <p><ChangeWords change={change} /></p>
        <Facts>
          <Fact name="When"><Time at={change.time} as="clock" /></Fact>
          <Fact name="Actor">{change.actor}</Fact>
          {nodeId && (
            <Fact name="Node">
              <NodeLinkById id={nodeId} /> <button type="button" className={styles.narrow} onClick={() => onNode(nodeId)}>only its changes</button>
            </Fact>
          )}
          {correlationId && (
            <Fact name="Correlation id">
              <code>{correlationId}</code> <button type="button" className={styles.narrow} onClick={() => onCorrelation(correlationId)}>only this undertaking</button>
            </Fact>
          )}
        </Facts>
        <div className={styles.actions}>
          <Button size="small" icon={<History aria-hidden="true" />} onClick={onThen}>The registry as it was then</Button>
          <Button size="small" icon={<GitCompareArrows aria-hidden="true" />} onClick={onSince}>What changed since</Button>
        </div>
        {simple.length > 0 && (
          <section>
            <h3>Details</h3>
            <Facts>
              {simple.map(([name, value]) => <Fact key={name} name={readable(name)}>{String(value)}</Fact>)}
            </Facts>
          </section>
        )}
        <section>
          <h3>As it was recorded</h3>
          <Json value={change.metadata} label={`Details of change ${change.sequence}`} />
        </section>
      </div>
    </Card>
  );
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** leaseId is "Lease id". */
function readable(name: string): string {
  const text = name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
