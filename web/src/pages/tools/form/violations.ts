import { Validator, type OutputUnit, type Schema } from '@cfworker/json-schema';

/** What is wrong at one place. */
export interface Violation {
  path: readonly string[];
  message: string;
}

type Check = (value: unknown) => OutputUnit[];

/** Says what a value violates, by a validator that interprets the schema: the page's policy refuses compiled code. */
export function violationsOf(schema: unknown): (value: unknown) => Violation[] {
  const check = checkOf(schema);
  return (value) => closest(check(value)).filter((unit) => !CONTAINERS.has(unit.keyword)).map(toViolation);
}

/** Errors of a schema, as its validator writes them. What cannot be checked passes: the registry checks every call anyway. */
export function checkOf(schema: unknown): Check {
  let validator: Validator;
  try {
    // The validator writes into the schema, which is not ours.
    validator = new Validator(withoutUndefined(schema ?? true) as Schema | boolean, '2020-12', false);
  } catch {
    return () => [];
  }
  return (value) => {
    try {
      return validator.validate(withoutUndefined(value ?? null)).errors;
    } catch {
      return [];
    }
  };
}

/** Members that are undefined are absent, as they are once the value is written. */
function withoutUndefined(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

/** These say only that something within is wrong, which is listed as well. */
const CONTAINERS = new Set([
  '$ref', '$recursiveRef', 'allOf', 'if', 'properties', 'patternProperties', 'additionalProperties', 'unevaluatedProperties',
  'items', 'prefixItems', 'additionalItems', 'unevaluatedItems', 'dependentSchemas', 'propertyNames',
]);

/** Of several shapes, only what the closest one misses: the others were not meant. */
function closest(units: readonly OutputUnit[]): OutputUnit[] {
  const choices = units.filter((unit) => unit.keyword === 'oneOf' || unit.keyword === 'anyOf');
  // The innermost choices first, so that an outer one counts what is left.
  choices.sort((a, b) => b.keywordLocation.length - a.keywordLocation.length);
  let left = [...units];
  for (const choice of choices) {
    const prefix = `${choice.keywordLocation}/`;
    const within = (unit: OutputUnit) => unit.keywordLocation.startsWith(prefix) && isAt(choice.instanceLocation, unit.instanceLocation);
    const branch = (unit: OutputUnit) => unit.keywordLocation.slice(prefix.length).split('/', 1)[0] ?? '';
    const counts = new Map<string, number>();
    for (const unit of left.filter(within)) counts.set(branch(unit), (counts.get(branch(unit)) ?? 0) + 1 + 100 * Number(isWrongType(unit, choice)));
    const best = [...counts].sort((a, b) => a[1] - b[1])[0]?.[0];
    // Where a shape is meant its own errors say more than that none fits.
    left = left.filter((unit) => (unit === choice ? best === undefined : !within(unit) || branch(unit) === best));
  }
  return left;
}

function isAt(place: string, other: string): boolean {
  return other === place || other.startsWith(`${place}/`);
}

function isWrongType(unit: OutputUnit, choice: OutputUnit): boolean {
  return unit.keyword === 'type' && unit.instanceLocation === choice.instanceLocation;
}

function toViolation(unit: OutputUnit): Violation {
  const path = unit.instanceLocation
    .split('/')
    .slice(1)
    .map((part) => decodeURI(part).replaceAll('~1', '/').replaceAll('~0', '~'));
  if (unit.keyword === 'required') {
    const name = /"(.*)"/s.exec(unit.error)?.[1];
    return { path: name === undefined ? path : [...path, name], message: 'This has to be given.' };
  }
  return { path, message: sentenceOf(unit) };
}

const SENTENCES: Partial<Record<string, string>> = {
  false: 'This is not taken.',
  uniqueItems: 'Each may be there once only.',
  pattern: 'It does not have the form that is wanted.',
  not: 'This is not taken.',
  anyOf: 'It has none of the shapes that are taken.',
  oneOf: 'It has not exactly one of the shapes that are taken.',
};

const TYPES: Record<string, string> = { string: 'text', integer: 'a whole number', number: 'a number', boolean: 'yes or no', null: 'null', object: 'an object', array: 'a list' };

function sentenceOf({ keyword, error }: OutputUnit): string {
  const known = SENTENCES[keyword];
  if (known) return known;
  if (keyword === 'type') {
    const wanted = [...error.slice(error.indexOf('Expected')).matchAll(/"(\w+)"/g)].map(([, type = '']) => TYPES[type] ?? type);
    return `It has to be ${wanted.join(' or ')}.`;
  }
  if (keyword === 'format') return `It has to be a ${/"(.*)"/.exec(error)?.[1] ?? 'value of another format'}.`;
  return error.replace(/^(Instance|String|Array) /, 'It ').replaceAll('  ', ' ');
}
