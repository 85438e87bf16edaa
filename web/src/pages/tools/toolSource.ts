import { about } from '~/data/about';
import { faultOf } from '~/data/errors';
import type { RowsSource } from '~/data/useKeptRows';
import { ToolRowsDocument } from './queries';
import type { ToolRow } from './toolRows';

const CALLS: readonly string[] = about.calls;
const TOOLS: readonly string[] = about.tools;

/** The catalogue: a call or an offer is of one tool, by name; a node that comes or goes may be of any. */
export const toolSource: RowsSource<ToolRow> = {
  dependsOn: [...about.tools, ...about.calls, ...about.nodes],
  idOf: (tool) => tool.id,
  groupOf: (tool) => tool.name,
  groupOfChange: ({ type, metadata }) => {
    const said = typeof metadata === 'object' && metadata !== null ? (metadata as Record<string, unknown>) : {};
    const name = CALLS.includes(type) ? said['tool'] : TOOLS.includes(type) ? said['name'] : null;
    return typeof name === 'string' ? name : null;
  },
  page: async (client, after) => {
    const { data, error } = await client.query(ToolRowsDocument, { after }).toPromise();
    if (!data) return { answer: null, fault: error ? faultOf(error) : null };
    const { hasNextPage, endCursor } = data.tools.pageInfo;
    return { answer: { rows: data.tools.nodes, next: hasNextPage ? endCursor : null }, fault: null };
  },
  again: async (client, names) => {
    const answers = await Promise.all(names.map((namePattern) => client.query(ToolRowsDocument, { filter: { namePattern } }).toPromise()));
    const failed = answers.find(({ data }) => !data);
    if (failed) return { answer: null, fault: failed.error ? faultOf(failed.error) : null };
    return { answer: answers.flatMap(({ data }) => data?.tools.nodes ?? []), fault: null };
  },
  againMax: 8,
};
