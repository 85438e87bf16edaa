import type { ToolTransport } from '~/gql/enums';

/** How calls reach a provider, in words. */
export const transportWords: Record<ToolTransport, string> = { GRAPHQL: 'Websocket', BUS: 'Bus', HTTP: 'HTTP', MCP: 'MCP' };
