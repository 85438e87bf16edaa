/** A JSON Schema in words: what a reader wants to know of each member, without the notation. */
export interface Described {
  /** The member's name; of an item of a list `each`; empty for the whole. */
  name: string;
  /** Such as "text", "whole number", "list of Traveller". */
  type: string;
  required: boolean;
  deprecated: boolean;
  description: string | null;
  /** Bounds in words, such as "1 to 80 characters". */
  bounds: readonly string[];
  /** The only values that it may have, as JSON. */
  values: readonly string[];
  /** As JSON; null where there is none. */
  preset: string | null;
  examples: readonly string[];
  /** The members of an object, the items of a list that are worth a line. */
  members: readonly Described[];
  /** Where one of several shapes will do. */
  variants: readonly Described[];
}

type Schema = Record<string, unknown>;

/** Deeper than this nobody reads, and a schema may contain itself. */
const DEPTH_MAX = 12;

/** Describes a schema, with the references into itself followed. */
export function describeSchema(schema: unknown): Described {
  return describe(schema, '', true, { root: schema, followed: [], depth: 0 });
}

interface Place {
  root: unknown;
  /** References that are being followed: one that comes again is a schema within itself. */
  followed: readonly string[];
  depth: number;
}

function describe(given: unknown, name: string, required: boolean, place: Place): Described {
  const { schema, followed, recursive } = resolved(given, place);
  const within: Place = { root: place.root, followed, depth: place.depth + 1 };
  const ends = recursive || place.depth >= DEPTH_MAX;
  return {
    name,
    type: typeWords(schema, within),
    required,
    deprecated: schema['deprecated'] === true,
    description: textOf(schema['description']),
    bounds: recursive ? ['the same again'] : boundsOf(schema),
    values: listOf(schema['enum']).map(written),
    preset: schema['default'] === undefined ? null : written(schema['default']),
    examples: listOf(schema['examples']).map(written),
    members: ends ? [] : membersOf(schema, within),
    variants: ends ? [] : variantsOf(schema, within),
  };
}

/** The schema with its reference followed and what stands beside that put over it; true and {} take anything. */
function resolved(given: unknown, place: Place): { schema: Schema; followed: readonly string[]; recursive: boolean } {
  if (given === false) return { schema: { not: {} }, followed: place.followed, recursive: false };
  let schema = objectOf(given);
  let followed = place.followed;
  for (;;) {
    const reference = schema['$ref'];
    if (typeof reference !== 'string') break;
    const beside = Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$ref'));
    const target = objectOf(lookUp(place.root, reference));
    if (followed.includes(reference)) {
      const { title, type, description } = target;
      return { schema: { title, type, description, ...beside }, followed, recursive: true };
    }
    followed = [...followed, reference];
    schema = { title: reference.split('/').at(-1), ...target, ...beside };
  }
  for (const part of listOf(schema['allOf'])) {
    const merged = resolved(part, { ...place, followed });
    schema = merge(schema, merged.schema);
  }
  return { schema, followed, recursive: false };
}

/** Parts that all hold at once, as one. */
function merge(one: Schema, other: Schema): Schema {
  return {
    ...other,
    ...one,
    ...((one['properties'] ?? other['properties']) ? { properties: { ...objectOf(other['properties']), ...objectOf(one['properties']) } } : {}),
    ...((one['required'] ?? other['required']) ? { required: [...listOf(one['required']), ...listOf(other['required'])] } : {}),
  };
}

function lookUp(root: unknown, reference: string): unknown {
  if (!reference.startsWith('#')) return {};
  let found: unknown = root;
  for (const part of reference.slice(1).split('/').slice(1)) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    found = Array.isArray(found) ? (found as unknown[])[Number(key)] : objectOf(found)[key];
  }
  return found;
}

function membersOf(schema: Schema, place: Place): Described[] {
  const required = new Set(listOf(schema['required']));
  const members = Object.entries(objectOf(schema['properties'])).map(([name, each]) => describe(each, name, required.has(name), place));
  // What has to be given comes first; otherwise in the schema's order.
  members.sort((a, b) => Number(b.required) - Number(a.required));
  const others = schema['additionalProperties'];
  if (typeof others === 'object' && others !== null) members.push(describe(others, 'any other', false, place));
  listOf(schema['prefixItems']).forEach((item, index) => members.push(describe(item, `item ${index + 1}`, true, place)));
  const items = schema['items'];
  if (typeof items === 'object' && items !== null && !Array.isArray(items)) {
    const item = describe(items, 'each', false, place);
    const plain = item.bounds.length + item.values.length + item.variants.length === 0 && !item.description;
    // The type has said that it is a list, and of what: its items' members can stand for themselves. A list of plain values
    // says all in its type.
    if (plain) members.push(...item.members);
    else members.push(item);
  }
  return members;
}

function variantsOf(schema: Schema, place: Place): Described[] {
  return [...listOf(schema['oneOf']), ...listOf(schema['anyOf'])].map((variant, index) => {
    const { title } = resolved(variant, place).schema;
    return describe(variant, textOf(title) ?? `shape ${index + 1}`, false, place);
  });
}

const TYPES: Record<string, string> = { string: 'text', integer: 'whole number', number: 'number', boolean: 'yes or no', null: 'null', object: 'object', array: 'list' };

function typeWords(schema: Schema, place: Place): string {
  if (schema['const'] !== undefined) return `always ${written(schema['const'])}`;
  const declared = schema['type'];
  const types = Array.isArray(declared) ? listOf(declared) : declared === undefined ? inferred(schema) : [declared];
  const said = types.map((type) => (type === 'array' ? listWords(schema, place) : type === 'object' ? (textOf(schema['title']) ?? 'object') : (TYPES[String(type)] ?? String(type))));
  if (said.length > 0) return said.join(' or ');
  if (schema['oneOf'] !== undefined) return 'one of several shapes';
  if (schema['anyOf'] !== undefined) return 'any of several shapes';
  if (schema['not'] !== undefined && Object.keys(objectOf(schema['not'])).length === 0) return 'nothing';
  return schema['enum'] === undefined ? 'anything' : 'one of';
}

function inferred(schema: Schema): string[] {
  if (schema['properties'] !== undefined || schema['required'] !== undefined) return ['object'];
  return schema['items'] === undefined && schema['prefixItems'] === undefined ? [] : ['array'];
}

function listWords(schema: Schema, place: Place): string {
  const items = schema['items'];
  if (typeof items !== 'object' || items === null || place.depth > DEPTH_MAX) return 'list';
  const { schema: item, followed } = resolved(items, place);
  const words = typeWords(item, { ...place, followed, depth: place.depth + 1 });
  return words === 'anything' ? 'list' : `list of ${words}`;
}

function boundsOf(schema: Schema): string[] {
  const bounds = [
    typeof schema['format'] === 'string' ? `format ${schema['format']}` : null,
    range(schema['minLength'], schema['maxLength'], 'character'),
    numbers(schema),
    schema['multipleOf'] === undefined ? null : `a multiple of ${written(schema['multipleOf'])}`,
    range(schema['minItems'], schema['maxItems'], 'item'),
    schema['uniqueItems'] === true ? 'each once' : null,
    range(schema['minProperties'], schema['maxProperties'], 'member'),
    typeof schema['pattern'] === 'string' ? `matches ${schema['pattern']}` : null,
    schema['additionalProperties'] === false && schema['properties'] !== undefined ? 'no other members' : null,
    schema['readOnly'] === true ? 'read only' : null,
    schema['writeOnly'] === true ? 'write only' : null,
  ];
  return bounds.filter((bound) => bound !== null);
}

function numbers(schema: Schema): string | null {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const low = minimum !== undefined ? `at least ${written(minimum)}` : exclusiveMinimum !== undefined ? `more than ${written(exclusiveMinimum)}` : null;
  const high = maximum !== undefined ? `at most ${written(maximum)}` : exclusiveMaximum !== undefined ? `less than ${written(exclusiveMaximum)}` : null;
  if (minimum !== undefined && maximum !== undefined) return `${written(minimum)} to ${written(maximum)}`;
  return [low, high].filter(Boolean).join(', ') || null;
}

function range(min: unknown, max: unknown, one: string): string | null {
  const many = (count: unknown) => `${written(count)} ${one}${count === 1 ? '' : 's'}`;
  if (min !== undefined && max !== undefined) return min === max ? `exactly ${many(min)}` : `${written(min)} to ${many(max)}`;
  if (min !== undefined && min !== 0) return `at least ${many(min)}`;
  return max === undefined ? null : `at most ${many(max)}`;
}

function objectOf(value: unknown): Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function written(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
