import type { InputHTMLAttributes } from 'react';
import { Input } from '~/ui/Field';

export interface InstantInputProps extends Omit<InputHTMLAttributes<HTMLInputElement>, 'value' | 'onChange'> {
  /** RFC 3339, or empty. */
  value: string;
  onChange: (value: string) => void;
}

/** An instant in the viewer's zone, to the second. */
export function InstantInput({ value, onChange, ...rest }: InstantInputProps) {
  return <Input {...rest} type="datetime-local" step={1} value={localOf(value)} onChange={(event) => onChange(instantOf(event.target.value))} />;
}

/** As the browser's control writes it: local, without a zone. */
export function localOf(instant: string): string {
  const at = new Date(instant);
  if (instant === '' || Number.isNaN(at.getTime())) return '';
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export function instantOf(local: string): string {
  const at = new Date(local);
  return local === '' || Number.isNaN(at.getTime()) ? '' : at.toISOString();
}
