/** A call as it would be written elsewhere. */
export interface CallToCopy {
  tool: string;
  /** Null where the highest release will do. */
  version: string | null;
  arguments: unknown;
  options: CallOptions;
}

/** What a caller may want besides: all of it is left out where it is as usual. */
export interface CallOptions {
  policy: string;
  nodeId: string;
  trustedOnly: boolean;
  timeoutMs: number | null;
  maxFailovers: number | null;
  idempotent: boolean;
  idempotencyKey: string;
  correlationId: string;
}

export const USUAL: CallOptions = {
  policy: '', nodeId: '', trustedOnly: false, timeoutMs: null, maxFailovers: null, idempotent: false, idempotencyKey: '', correlationId: '',
};

/** The fields of `ProxyInvokeInput`, without those that are as usual. */
export function callInput({ tool, version, arguments: given, options }: CallToCopy): Record<string, unknown> {
  const said = Object.entries(options).filter(([, value]) => value !== '' && value !== false && value !== null);
  return { tool, ...(version === null ? {} : { version }), arguments: given, ...Object.fromEntries(said) };
}

const ANSWER = ['id', 'status', 'result', 'error { code type message details retryable }', 'durationMs', 'warnings'];
const OPERATION = `mutation ($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { ${ANSWER.join(' ')} } }`;
const SELECTION = `{\n${ANSWER.map((field) => `    ${field}\n`).join('')}  }`;

/** An operation that can be pasted as it is: the arguments stand in it, unless a member's name cannot. */
export function asGraphQL(call: CallToCopy): string {
  const { policy, ...rest } = callInput(call);
  const fields = [...Object.entries(rest).map(([name, value]) => [name, literal(value)] as const), ...(typeof policy === 'string' ? [['policy', policy] as const] : [])];
  if (fields.every(([, value]) => value !== null)) {
    return `mutation {\n  proxyInvoke(input: {\n${fields.map(([name, value]) => `    ${name}: ${value ?? ''}\n`).join('')}  }) ${SELECTION}\n}`;
  }
  return `mutation Call($input: ProxyInvokeInput!) {\n  proxyInvoke(input: $input) ${SELECTION}\n}\n\n# Variables:\n${JSON.stringify({ input: callInput(call) }, null, 2).replaceAll(/^/gm, '# ')}`;
}

const NAME = /^[_A-Za-z]\w*$/;

/** A value as GraphQL writes it; null where a member's name is none there. */
function literal(value: unknown): string | null {
  if (Array.isArray(value)) {
    const items = value.map(literal);
    return items.includes(null) ? null : `[${items.join(', ')}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, each]) => each !== undefined).map(([name, each]) => ({ name, written: literal(each) }));
  if (members.some(({ name, written }) => written === null || !NAME.test(name))) return null;
  return `{${members.map(({ name, written }) => `${name}: ${written ?? ''}`).join(', ')}}`;
}

export function asCurl(call: CallToCopy, endpoint: string, withToken: boolean): string {
  const body = JSON.stringify({ query: OPERATION, variables: { input: callInput(call) } });
  const lines = [`curl ${quoted(endpoint)}`, `-H 'Content-Type: application/json'`];
  if (withToken) lines.push('-H "Authorization: Bearer $ONEX_TOKEN"');
  return [...lines, `--data ${quoted(body)}`].join(' \\\n  ');
}

/** Where the command looks for the registry by itself. */
const SERVER_USUAL = 'http://127.0.0.1:4000';

export function asCommand({ tool, version, arguments: given, options }: CallToCopy, server: string): string {
  const parts = [`onex proxy-invoke --tool ${quoted(tool)}`];
  if (version !== null) parts.push(`--version ${quoted(version)}`);
  if (!isEmpty(given)) parts.push(`--args ${quoted(JSON.stringify(given))}`);
  if (options.policy) parts.push(`--policy ${options.policy.toLowerCase().replaceAll('_', '-')}`);
  if (options.nodeId) parts.push(`--node ${options.nodeId}`);
  if (options.trustedOnly) parts.push('--trusted-only');
  if (options.timeoutMs !== null) parts.push(`--timeout ${options.timeoutMs}ms`);
  if (options.maxFailovers !== null) parts.push(`--max-failovers ${options.maxFailovers}`);
  if (options.idempotent) parts.push('--idempotent');
  if (options.idempotencyKey) parts.push(`--idempotency-key ${quoted(options.idempotencyKey)}`);
  if (options.correlationId) parts.push(`--correlation-id ${quoted(options.correlationId)}`);
  if (server !== SERVER_USUAL) parts.push(`--server ${quoted(server)}`);
  const line = parts.join(' ');
  return line.length <= 76 ? line : parts.join(' \\\n  ');
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}

/** A word for a POSIX shell: as it is where nothing in it means anything there. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
