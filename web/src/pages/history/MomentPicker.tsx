import { ChevronLeft, ChevronRight } from 'lucide-react';
import { useState } from 'react';
import { IconButton } from '~/ui/Button';
import { Field, Input } from '~/ui/Field';
import styles from './History.module.css';
import { InstantInput } from './InstantInput';
import type { Snapshot } from './snapshot';

export interface MomentPickerProps {
  label: string;
  /** A place or an instant, as the address has it. */
  value: string;
  onChange: (value: string) => void;
  /** The oldest place that can be looked at, and the last one there is. */
  first: number;
  last: number;
  /** What was read for it, so that the other ways to say it show the same. */
  snapshot: Snapshot | null;
}

/** A moment of the log: by sliding through it, by its place, or by an instant. */
export function MomentPicker({ label, value, onChange, first, last, snapshot }: MomentPickerProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const place = /^\d+$/.test(value) ? Number(value) : (snapshot?.sequence ?? last);
  const go = (to: number) => onChange(String(Math.max(first, Math.min(last, to))));
  const settle = () => {
    if (draft !== null && /^\d+$/.test(draft)) go(Number(draft));
    setDraft(null);
  };
  return (
    <div className={styles.moment} role="group" aria-label={label}>
      <div className={styles.slide}>
        <IconButton label={`${label}: the place before`} icon={<ChevronLeft aria-hidden="true" />} disabled={place <= first} onClick={() => go(place - 1)} />
        <input type="range" className={styles.range} aria-label={`${label}: place in the log`} min={first} max={last} value={Math.min(Math.max(place, first), last)} onChange={(event) => go(Number(event.target.value))} />
        <IconButton label={`${label}: the next place`} icon={<ChevronRight aria-hidden="true" />} disabled={place >= last} onClick={() => go(Math.max(place, snapshot?.sequence ?? 0) + 1)} />
      </div>
      <div className={styles.exact}>
        <Field label="Place">
          {(control) => (
            <Input {...control} inputMode="numeric" value={draft ?? String(place)} onChange={(event) => setDraft(event.target.value)} onBlur={settle} onKeyDown={(event) => event.key === 'Enter' && settle()} />
          )}
        </Field>
        <Field label="Instant">
          {(control) => <InstantInput {...control} value={/^\d+$/.test(value) || value === '' ? (snapshot?.time ?? '') : value} onChange={(instant) => instant && onChange(instant)} />}
        </Field>
      </div>
    </div>
  );
}
