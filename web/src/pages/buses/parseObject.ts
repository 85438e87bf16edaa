export type Parsed = { value: unknown; problem: null } | { value: null; problem: string };

/** A JSON object as somebody writes it; null where nothing is written. */
export function parseObject(text: string, example: string): Parsed {
  if (text.trim() === '') return { value: null, problem: null };
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? { value, problem: null } : { value: null, problem: `It has to be an object: ${example}` };
  } catch (error) {
    return { value: null, problem: error instanceof Error ? error.message : 'This is no JSON.' };
  }
}
