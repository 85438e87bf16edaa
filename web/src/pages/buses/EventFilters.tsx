import { useState, type SubmitEvent } from 'react';
import { useUrlState } from '~/lib/useUrlState';
import type { BusEventFilter, ReplayInput } from '~/gql/graphql';
import { Button } from '~/ui/Button';
import { Input, Select } from '~/ui/Field';
import styles from './EventFilters.module.css';

const REPLAYS = [
  { value: '0', label: 'From now on' },
  { value: '100', label: 'The last 100, then live' },
  { value: '1000', label: 'The last 1,000, then live' },
  { value: 'all', label: 'All that is kept, then live' },
];
const REPLAY_DEFAULT = '100';

export interface EventFilter {
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
  const [correlation] = useUrlState('correlation');
  const [replay] = useUrlState('replay', REPLAY_DEFAULT);
  const where: BusEventFilter = {};
  if (type) where.eventTypes = listed(type);
  if (tag) where.tags = listed(tag);
  if (correlation) where.correlationId = correlation;
  return {
    topics: listed(topic),
    where,
    replay: replay === 'all' ? { all: true } : Number(replay) > 0 ? { last: Number(replay) } : null,
    key: [topic, type, tag, correlation, replay].join('\n'),
  };
}

function listed(text: string): string[] {
  return text.split(',').map((each) => each.trim()).filter(Boolean);
}

export function EventFilters({ topics }: { topics: readonly string[] }) {
  const [replay, setReplay] = useUrlState('replay', REPLAY_DEFAULT);
  return (
    <div className={styles.filters} role="group" aria-label="Filters">
      <FilterInput name="topic" label="Topics" placeholder="orders.*, returns.>" options={topics} />
      <FilterInput name="type" label="Event types" placeholder="order.placed" />
      <FilterInput name="tag" label="Tags" placeholder="web" />
      <FilterInput name="correlation" label="Correlation id" placeholder="any" />
      <Select label="Begin with" value={replay} onChange={setReplay} options={REPLAYS} />
    </div>
  );
}

/** Applied when it is left or Enter is pressed: each filter is another subscription, and half a word is none. */
function FilterInput({ name, label, placeholder, options }: { name: string; label: string; placeholder: string; options?: readonly string[] }) {
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
  const listId = `filter-${name}`;
  return (
    <form onSubmit={submit} className={styles.filter}>
      <label>
        <span>{label}</span>
        <Input value={draft} placeholder={placeholder} list={options ? listId : undefined} onChange={(event) => setDraft(event.target.value)} onBlur={apply} />
      </label>
      {options && (
        <datalist id={listId}>
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
