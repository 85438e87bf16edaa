/** Every address of the dashboard. Links are built here, never typed. */
export const paths = {
  overview: () => '/',
  nodes: (query: { status?: string; kind?: string; search?: string } = {}) => `/nodes${search(query)}`,
  node: (id: string) => `/nodes/${encodeURIComponent(id)}`,
  graph: (query: { focus?: string; depth?: number } = {}) => `/graph${search(query)}`,
  tools: (query: { search?: string } = {}) => `/tools${search(query)}`,
  tool: (name: string, version?: string) => `/tools/${encodeURIComponent(name)}${search({ version })}`,
  ports: (query: { port?: number; status?: string } = {}) => `/ports${search(query)}`,
  buses: () => '/buses',
  bus: (name: string, query: { topic?: string } = {}) => `/buses/${encodeURIComponent(name)}${search(query)}`,
  history: (query: { at?: number; from?: number; node?: string; type?: string } = {}) => `/history${search(query)}`,
  graphiql: () => '/graphiql',
};

function search(query: Record<string, string | number | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text ? `?${text}` : '';
}
