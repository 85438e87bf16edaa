// The package's index brings a second validator along, which compiles code.
import Form from '@rjsf/core/lib/components/Form.js';
import { englishStringTranslator, TranslatableString, type Experimental_DefaultFormStateBehavior, type Registry, type UiSchema } from '@rjsf/utils';
import { useMemo, useState, type ReactNode } from 'react';
import { prepareSchema } from './prepare';
import { templates } from './templates';
import { validatorFor } from './validator';
import { JsonField, widgets, type Values } from './widgets';

export interface ArgumentsFormProps {
  schema: unknown;
  value: Values;
  disabled?: boolean;
  onChange: (value: Values) => void;
  /** The arguments fit the schema. */
  onSubmit: (value: Values) => void;
  /** The buttons at the form's end. */
  children: ReactNode;
}

/** What may be left out is left out until somebody gives it: the tool knows its own defaults. */
const DEFAULTS: Experimental_DefaultFormStateBehavior = {
  emptyObjectFields: 'populateRequiredDefaults',
  arrayMinItems: { populate: 'requiredOnly' },
  constAsDefaults: 'always',
  requiredBooleanDefault: 'populateFalse',
};
const UI: UiSchema<Values> = { 'ui:globalOptions': { enableOptionalDataFieldForType: ['object', 'array'], copyable: false } };
const FIELDS = { FallbackField: JsonField };

const translate: Registry['translateString'] = (key, params) => {
  const number = params?.at(-1) ?? '';
  if (key === TranslatableString.OptionPrefix || key === TranslatableString.TitleOptionPrefix) return `Shape ${number}`;
  if (key === TranslatableString.NewStringDefault) return '';
  return englishStringTranslator(key, params);
};

/** A form made from a tool's schema. */
export default function ArgumentsForm({ schema, value, disabled, onChange, onSubmit, children }: ArgumentsFormProps) {
  const prepared = useMemo(() => prepareSchema(schema), [schema]);
  const validator = useMemo(() => validatorFor(schema), [schema]);
  const [tried, setTried] = useState(false);
  return (
    <Form<Values>
      schema={prepared}
      uiSchema={UI}
      formData={value}
      validator={validator}
      fields={FIELDS}
      widgets={widgets}
      templates={templates}
      translateString={translate}
      experimental_defaultFormStateBehavior={DEFAULTS}
      idPrefix="argument"
      disabled={disabled}
      noHtml5Validate
      showErrorList={false}
      focusOnFirstError
      // Nobody is told what is wrong while the form is filled in for the first time.
      liveValidate={tried ? 'onChange' : undefined}
      onChange={(event) => onChange(event.formData ?? {})}
      onSubmit={(event) => onSubmit(event.formData ?? {})}
      onError={() => setTried(true)}
    >
      {children}
    </Form>
  );
}
