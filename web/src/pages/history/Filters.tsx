import { useMemo, useState } from 'react';
import { useChangesSnapshot } from '~/data/hooks';
import { Button } from '~/ui/Button';
import { Field, Input, Select } from '~/ui/Field';
import styles from './History.module.css';
import { InstantInput } from './InstantInput';
import { TYPE_OPTIONS, type HistoryAddress } from './useFilter';

export interface FiltersProps {
  address: HistoryAddress;
  set: (next: Partial<HistoryAddress>) => void;
  unknownNode: boolean;
}

/** Which changes the timeline shows. */
export function Filters({ address, set, unknownNode }: FiltersProps) {
  const actors = useActors();
  const any = address.type || address.node || address.actor || address.correlation || address.since || address.until;
  return (
    <div className={styles.filters} role="group" aria-label="Filters">
      <Field label="Kind">{(control) => <Select {...control} value={address.type} onChange={(type) => set({ type })} options={TYPE_OPTIONS} />}</Field>
      <Field label="Node" problem={unknownNode ? 'No node has this name.' : null}>
        {(control) => <Settled control={control} value={address.node} onSettle={(node) => set({ node })} placeholder="name or id" />}
      </Field>
      <Field label="Actor">
        {(control) => <Settled control={control} value={address.actor} onSettle={(actor) => set({ actor })} placeholder="who did it" options={actors} />}
      </Field>
      <Field label="Correlation id">
        {(control) => <Settled control={control} value={address.correlation} onSettle={(correlation) => set({ correlation })} placeholder="of one undertaking" />}
      </Field>
      <Field label="Since">{(control) => <InstantInput {...control} value={address.since} onChange={(since) => set({ since })} />}</Field>
      <Field label="Until">{(control) => <InstantInput {...control} value={address.until} onChange={(until) => set({ until })} />}</Field>
      {any && (
        <Button variant="quiet" onClick={() => set({ type: '', node: '', actor: '', correlation: '', since: '', until: '' })}>
          Clear the filters
        </Button>
      )}
    </div>
  );
}

/** Who did something lately. */
function useActors(): readonly string[] {
  const { recent } = useChangesSnapshot();
  return useMemo(() => [...new Set(recent.map((change) => change.actor))].sort(), [recent]);
}

interface SettledProps {
  control: { id: string; 'aria-describedby': string | undefined; 'aria-invalid': boolean | undefined };
  value: string;
  onSettle: (value: string) => void;
  placeholder: string;
  /** What is likely meant. */
  options?: readonly string[];
}

/** Takes effect when it is left or Enter is pressed: half a name finds nothing. */
function Settled({ control, value, onSettle, placeholder, options = [] }: SettledProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const settle = () => {
    if (draft !== null && draft.trim() !== value) onSettle(draft.trim());
    setDraft(null);
  };
  const listId = `${control.id}-options`;
  return (
    <>
      <Input
        {...control}
        value={draft ?? value}
        placeholder={placeholder}
        list={options.length > 0 ? listId : undefined}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={settle}
        onKeyDown={(event) => event.key === 'Enter' && settle()}
      />
      {options.length > 0 && (
        <datalist id={listId}>
          {options.map((option) => <option key={option} value={option} />)}
        </datalist>
      )}
    </>
  );
}
