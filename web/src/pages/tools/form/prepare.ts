type Schema = Record<string, unknown>;

/**
 * The schema as the form's library understands it: that knows draft 7, where a list's first items are `items` and the rest
 * `additionalItems`, and takes an `$id` for the name of a field.
 */
export function prepareSchema(schema: unknown): Schema {
  const prepared = prepare(schema);
  const object = typeof prepared === 'object' && prepared !== null && !Array.isArray(prepared) ? (prepared as Schema) : {};
  // The page says what the tool does; the form need not say it again.
  return { type: 'object', ...without(object, 'title', 'description') };
}

function prepare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(prepare);
  if (typeof value !== 'object' || value === null) return value;
  const made: Schema = {};
  for (const [key, each] of Object.entries(value)) {
    if (LITERAL.has(key)) made[key] = each;
    else if (NAMED.has(key)) made[key] = prepareNamed(each);
    else if (key === 'items') made[key] = anything(prepare(each));
    else if (key !== '$id' && key !== '$schema') made[key] = prepare(each);
  }
  if (Array.isArray(made['prefixItems'])) {
    const { prefixItems, items, ...rest } = made;
    return { type: 'array', ...rest, items: prefixItems, ...(items === undefined ? {} : { additionalItems: items }) };
  }
  if (made['type'] === undefined && made['properties'] !== undefined) made['type'] = 'object';
  return asWritten(made);
}

/** What has no members or items of its own to make fields of is written as JSON: without a type, that is its field. */
function asWritten(schema: Schema): Schema {
  const hint = schema['type'] === 'object' && !MEMBERS.some((key) => hasMembers(schema[key])) ? 'An object, as JSON.' : schema['type'] === 'array' && schema['items'] === undefined ? 'A list, as JSON.' : null;
  if (hint === null) return schema;
  return { description: hint, ...without(schema, 'type') };
}

function without(schema: Schema, ...keys: readonly string[]): Schema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => !keys.includes(key)));
}

const MEMBERS = ['properties', 'additionalProperties', 'oneOf', 'anyOf', 'allOf', '$ref', 'if'];

function hasMembers(part: unknown): boolean {
  return part === true || (typeof part === 'object' && part !== null && Object.keys(part).length > 0);
}

/** Their values are data, not schemas. */
const LITERAL = new Set(['default', 'const', 'enum', 'examples', 'required']);
/** Their members' names are the schema's own. */
const NAMED = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);

function prepareNamed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, anything(prepare(each))]));
}

/** The library shows nothing for what takes anything. */
function anything(schema: unknown): unknown {
  const isOpen = schema === true || (typeof schema === 'object' && schema !== null && Object.keys(schema).length === 0);
  return isOpen ? { description: 'Anything, as JSON.' } : schema;
}

/** Whether a form can be made of it: the arguments are an object whose members have names. */
export function hasForm(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return false;
  const { type, properties, $ref, oneOf, anyOf, allOf } = schema as Schema;
  if (type !== undefined && type !== 'object') return false;
  return [properties, $ref, oneOf, anyOf, allOf].some((part) => part !== undefined) || (schema as Schema)['additionalProperties'] !== undefined;
}
