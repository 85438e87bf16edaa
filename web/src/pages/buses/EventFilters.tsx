import { useId, useState, type SubmitEvent } from 'react';
import { useUrlState } from '~/lib/useUrlState';
import type { TrustState } from '~/gql/enums';
import type { BusEventFilter, ReplayInput } from '~/gql/graphql';
import { Button } from '~/ui/Button';
import { Input, Select } from '~/ui/Field';
import styles from './EventFilters.module.css';
import { useNodeIds } from './useNodeIds';

const REPLAYS = [
  { value: '0', label: 'From now on' },
  { value: '100', label: 'The last 100, then live' },
  { value: '1000', label: 'The last 1,000, then live' },
  { value: 'all', label: 'All that is kept, then live' },
];
const REPLAY_DEFAULT = '100';

const TRUST: readonly { value: TrustState; label: string }[] = [
  { value: 'TRUSTED', label: 'Trusted nodes' },
  { value: 'VERIFIED', label: 'Verified nodes' },
];

export interface EventFilter {
  /** The ids of named nodes are not known, yet or at all: nothing can fit. */
  waiting: boolean;
  /** Names that no node has. */
  unknownNodes: readonly string[];
  topics: readonly string[];
  where: BusEventFilter;
  replay: ReplayInput | null;
  /** The same for the same filter. */
  key: string;
}

/** The filter as the address has it. */
export function useEventFilter(): EventFilter {
  const [topic] = useUrlState('topic');
  const [type] = useUrlState('type');
  const [tag] = useUrlState('tag');
  const [node] = useUrlState('node');
  const [trust] = useUrlState('trust');
  const [correlation] = useUrlState('correlation');
  const [replay] = useUrlState('replay', REPLAY_DEFAULT);
  const nodes = useNodeIds(listed(node));
  const where: BusEventFilter = {};
  if (type) where.eventTypes = listed(type);
  if (tag) where.tags = listed(tag);
  if (node) where.nodeIds = [...nodes.ids];
  if (TRUST.some((each) => each.value === trust)) where.minTrust = trust as TrustState;
  if (correlation) where.correlationId = correlation;
  return {
    waiting: nodes.waiting || (node !== '' && nodes.ids.length === 0),
    unknownNodes: nodes.unknown,
    topics: listed(topic),
    where,
    replay: replay === 'all' ? { all: true } : Number(replay) > 0 ? { last: Number(replay) } : null,
    key: [topic, type, tag, nodes.ids.join(), trust, correlation, replay].join('\n'),
  };
}

function listed(text: string): string[] {
  return text.split(',').map((each) => each.trim()).filter(Boolean);
}

export function EventFilters({ topics, unknownNodes }: { topics: readonly string[]; unknownNodes: readonly string[] }) {
  const [replay, setReplay] = useUrlState('replay', REPLAY_DEFAULT);
  const [trust, setTrust] = useUrlState('trust');
  return (
    <div className={styles.filters} role="group" aria-label="Filters">
      <FilterInput name="topic" label="Topics" placeholder="orders.*, returns.>" options={topics} />
      <FilterInput name="type" label="Event types" placeholder="order.placed" />
      <FilterInput name="node" label="Nodes" placeholder="names or ids" problem={unknownNodes.length > 0 ? `No node is called ${unknownNodes.join(', ')}.` : null} />
      <FilterInput name="tag" label="Tags" placeholder="web" />
      <FilterInput name="correlation" label="Correlation id" placeholder="any" />
      <FilterSelect label="Trust" value={trust} onChange={setTrust} options={[{ value: '', label: 'Any node' }, ...TRUST]} />
      <FilterSelect label="Begin with" value={replay} onChange={setReplay} options={REPLAYS} />
    </div>
  );
}

function FilterSelect({ label, ...rest }: { label: string; value: string; onChange: (value: string) => void; options: readonly { value: string; label: string }[] }) {
  const id = useId();
  return (
    <div className={styles.filter}>
      <label htmlFor={id}>{label}</label>
      <Select {...rest} id={id} />
    </div>
  );
}

interface FilterInputProps {
  /** Its name in the address. */
  name: string;
  label: string;
  placeholder: string;
  options?: readonly string[];
  problem?: string | null;
}

/** Applied when it is left or Enter is pressed: each filter is another subscription, and half a word is none. */
function FilterInput({ name, label, placeholder, options, problem }: FilterInputProps) {
  const [value, setValue] = useUrlState(name);
  const [draft, setDraft] = useState(value);
  const [shown, setShown] = useState(value);
  if (shown !== value) {
    setShown(value);
    setDraft(value);
  }
  const apply = () => setValue(draft.trim());
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    apply();
  };
  const id = useId();
  return (
    <form onSubmit={submit} className={styles.filter}>
      <label htmlFor={id}>{label}</label>
      <Input id={id} value={draft} placeholder={placeholder} list={options ? `${id}-options` : undefined} aria-invalid={problem ? true : undefined} aria-describedby={problem ? `${id}-problem` : undefined} onChange={(event) => setDraft(event.target.value)} onBlur={apply} />
      {problem && <p id={`${id}-problem`} role="status" className={styles.problem}>{problem}</p>}
      {options && (
        <datalist id={`${id}-options`}>
          {options.map((option) => (
            <option key={option} value={option} />
          ))}
        </datalist>
      )}
      {/* Enter submits a form only where there is something that submits it. */}
      <Button type="submit" className="visually-hidden" tabIndex={-1} aria-hidden="true">
        Apply
      </Button>
    </form>
  );
}
