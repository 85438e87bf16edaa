import { ErrorSchemaBuilder, type RJSFSchema, type ValidatorType } from '@rjsf/utils';
import { checkOf, violationsOf } from './violations';

type Values = Record<string, unknown>;

/** The form's validator. What is sent is checked against the tool's own schema, not against what the form made of it. */
export function validatorFor(schema: unknown): ValidatorType<Values> {
  const violations = violationsOf(schema);
  const checks = new WeakMap<object, (value: unknown) => boolean>();
  const made: ValidatorType<Values> = {
    validateFormData: (formData) => {
      const builder = new ErrorSchemaBuilder<Values>();
      const errors = violations(formData).map(({ path, message }) => {
        builder.addErrors(message, [...path]);
        return { property: path.map((part) => `.${part}`).join(''), message, stack: `${path.join(' › ')}: ${message}` };
      });
      return { errors, errorSchema: builder.ErrorSchema };
    },
    // Asked of parts, to find out which of several shapes a value has.
    isValid: (part, formData, root) => {
      const known = checks.get(part);
      if (known) return known(formData);
      const check = checkOf(withDefinitions(part, root));
      const fits = (value: unknown) => check(value).length === 0;
      checks.set(part, fits);
      return fits(formData);
    },
    rawValidation: (part, formData) => ({ errors: checkOf(part)(formData) as never[] }),
  };
  return made;
}

/** A part of a schema refers to definitions of the whole. */
function withDefinitions(part: RJSFSchema, root: RJSFSchema): RJSFSchema {
  const { $defs, definitions } = root;
  return { ...($defs ? { $defs } : {}), ...(definitions ? { definitions } : {}), ...part };
}
