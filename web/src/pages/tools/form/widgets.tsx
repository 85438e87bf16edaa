import { descriptionId, errorId, type FieldProps, type RegistryWidgetsType, type WidgetProps } from '@rjsf/utils';
import { useState, type InputHTMLAttributes } from 'react';
import { Checkbox, Input, Select, TextArea } from '~/ui/Field';
import styles from './form.module.css';

export type Values = Record<string, unknown>;

/** Ties a control to its description and to what is wrong with it. */
export function described({ id, schema, rawErrors }: Pick<WidgetProps<Values>, 'id' | 'schema' | 'rawErrors'>) {
  const wrong = rawErrors !== undefined && rawErrors.length > 0;
  const ids = [schema.description ? descriptionId(id) : null, wrong ? errorId(id) : null].filter(Boolean);
  return { 'aria-describedby': ids.join(' ') || undefined, 'aria-invalid': wrong ? true : undefined } as const;
}

const LONG_TEXT = 160;

function TextWidget(props: WidgetProps<Values>) {
  const { schema, registry } = props;
  const { BaseInputTemplate } = registry.templates;
  if ((schema.maxLength ?? 0) > LONG_TEXT || schema.contentMediaType) return <LongTextWidget {...props} />;
  return <BaseInputTemplate {...props} />;
}

function LongTextWidget(props: WidgetProps<Values>) {
  const { id, onChange, required, disabled } = props;
  const value: unknown = props.value;
  return (
    <TextArea
      id={id}
      className={styles.prose}
      value={typeof value === 'string' ? value : ''}
      required={required}
      disabled={disabled}
      rows={4}
      onChange={(event) => onChange(event.target.value === '' ? undefined : event.target.value)}
      {...described(props)}
    />
  );
}

function SelectWidget(props: WidgetProps<Values>) {
  const { id, options, onChange, required, disabled, multiple, schema, label } = props;
  const value: unknown = props.value;
  const choices = options.enumOptions ?? [];
  if (multiple) return <CheckboxesWidget {...props} />;
  const index = choices.findIndex((choice) => JSON.stringify(choice.value) === JSON.stringify(value));
  const preset: unknown = schema.default;
  const empty = { value: '', label: preset === undefined ? (required ? 'Choose' : 'Left out') : `Left out: ${written(preset)}` };
  return (
    <Select
      id={id}
      // The choice of one of several shapes has no label element of its own.
      label={id.endsWith('_select') ? `Shape of ${label}` : undefined}
      value={index < 0 ? '' : String(index)}
      onChange={(chosen) => onChange(chosen === '' ? undefined : choices[Number(chosen)]?.value)}
      options={[...(index < 0 || !required ? [empty] : []), ...choices.map((choice, at) => ({ value: String(at), label: choice.label }))]}
      disabled={disabled}
      className={styles.select}
      {...described(props)}
    />
  );
}

function CheckboxesWidget(props: WidgetProps<Values>) {
  const { options, onChange, disabled } = props;
  const given: unknown = props.value;
  const chosen = new Set(Array.isArray(given) ? given.map((each) => JSON.stringify(each)) : []);
  const choices = options.enumOptions ?? [];
  const put = (key: string, on: boolean) => {
    if (on) chosen.add(key);
    else chosen.delete(key);
    onChange(choices.filter((choice) => chosen.has(JSON.stringify(choice.value))).map((choice) => choice.value as unknown));
  };
  return (
    <div className={styles.choices}>
      {choices.map((choice) => {
        const key = JSON.stringify(choice.value);
        return <Checkbox key={key} label={choice.label} checked={chosen.has(key)} disabled={disabled} onChange={(on) => put(key, on)} />;
      })}
    </div>
  );
}

/** What need not be given has three states: yes, no, and left to the tool. */
function CheckboxWidget(props: WidgetProps<Values>) {
  const { id, label, required, disabled, onChange, schema } = props;
  const value: unknown = props.value;
  const preset: unknown = schema.default;
  const left = typeof preset === 'boolean' ? `Left out: ${preset ? 'yes' : 'no'}` : 'Left out';
  if (required) return <Checkbox label={label} checked={value === true} disabled={disabled} onChange={onChange} />;
  return (
    <>
      <label htmlFor={id} className={styles.label}>
        {label}
      </label>
      {schema.description && (
        <p id={descriptionId(id)} className={styles.description}>
          {schema.description}
        </p>
      )}
      <Select
        id={id}
        className={styles.select}
        value={value === true ? 'yes' : value === false ? 'no' : ''}
        onChange={(chosen) => onChange(chosen === '' ? undefined : chosen === 'yes')}
        options={[{ value: '', label: left }, { value: 'yes', label: 'Yes' }, { value: 'no', label: 'No' }]}
        disabled={disabled}
        {...described(props)}
      />
    </>
  );
}

/** For what the schema says too little of to make fields: the value itself, as JSON. */
export function JsonField({ fieldPathId, formData, onChange, disabled, schema, rawErrors }: FieldProps<Values>) {
  const [text, setText] = useState(() => (formData === undefined ? '' : JSON.stringify(formData, null, 2)));
  const [problem, setProblem] = useState<string | null>(null);
  const id = fieldPathId.$id;
  const put = (next: string) => {
    setText(next);
    if (next.trim() === '') {
      setProblem(null);
      onChange(undefined, fieldPathId.path);
      return;
    }
    try {
      onChange(JSON.parse(next) as Values, fieldPathId.path);
      setProblem(null);
    } catch (cause) {
      setProblem(cause instanceof Error ? cause.message : 'This is not JSON.');
    }
  };
  return (
    <>
      <TextArea id={id} value={text} disabled={disabled} rows={3} onChange={(event) => put(event.target.value)} {...described({ id, schema, rawErrors })} />
      {problem && (
        <span className={styles.problem} role="alert">
          {problem}
        </span>
      )}
    </>
  );
}

/** Numbers, dates and all that the browser has an input for. */
export function BaseInput({ inputProps, ...props }: WidgetProps<Values> & { inputProps: InputHTMLAttributes<HTMLInputElement> }) {
  const { id, onChange, disabled, required, schema } = props;
  const value: unknown = props.value;
  const preset: unknown = schema.default;
  const example: unknown = Array.isArray(schema.examples) ? (schema.examples as unknown[])[0] : undefined;
  const hint = preset !== undefined ? `Left out: ${written(preset)}` : example !== undefined ? `Such as ${written(example)}` : undefined;
  return (
    <Input
      {...inputProps}
      id={id}
      name={id}
      disabled={disabled}
      required={required}
      placeholder={hint}
      value={typeof value === 'string' || typeof value === 'number' ? value : ''}
      onChange={(event) => onChange(event.target.value === '' ? undefined : event.target.value)}
      {...described(props)}
    />
  );
}

function written(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export const widgets: RegistryWidgetsType<Values> = { TextWidget, TextareaWidget: LongTextWidget, SelectWidget, CheckboxWidget, CheckboxesWidget };
