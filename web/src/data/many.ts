/**
 * Many things of one kind in one request, where the schema has no list of things by their ids.
 *
 * Documents are of a few sizes, so that the registry and the client know them after the first time; what does not fill a
 * document is filled up with the last id, which costs nothing twice.
 */
const SIZES = [1, 10, 50, 200] as const;

/** As many as go into one request. */
export const TOGETHER_MAX = 200;

export interface ManyRequest {
  query: string;
  variables: Record<string, string>;
}

/** `field` is the selection for one thing, given the variable that has its id; `n0`, `n1` … are the answers' names. */
export function manyRequest(ids: readonly string[], field: (variable: string) => string, { fragment = '', type = 'UUID!' } = {}): ManyRequest {
  const size = SIZES.find((each) => each >= ids.length) ?? TOGETHER_MAX;
  const last = ids.at(-1) ?? '';
  const variables: Record<string, string> = {};
  const names: string[] = [];
  const fields: string[] = [];
  for (let index = 0; index < size; index += 1) {
    variables[`i${index}`] = ids[index] ?? last;
    names.push(`$i${index}: ${type}`);
    fields.push(`n${index}: ${field(`$i${index}`)}`);
  }
  return { query: `query Many(${names.join(', ')}) { ${fields.join(' ')} } ${fragment}`, variables };
}
