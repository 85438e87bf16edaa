import type { ToolRowFragment as ToolRow } from '~/gql/graphql';

export type { ToolRow };

/** Whether a call of it would find somebody. */
export type Availability = 'callable' | 'unreachable' | 'declared' | 'quarantined';

export const AVAILABILITIES: readonly Availability[] = ['callable', 'unreachable', 'declared', 'quarantined'];

export function availabilityOf(tool: Pick<ToolRow, 'quarantine' | 'providers'>): Availability {
  if (tool.providers.some((provider) => provider.healthy)) return 'callable';
  if (tool.quarantine !== null) return 'quarantined';
  // A contract names it, and no live instance has offered it yet.
  if (tool.providers.every((provider) => provider.node.status === 'DECLARED')) return 'declared';
  return 'unreachable';
}

export interface ToolFilters {
  search: string;
  tag: string;
  availability: string;
  trusted: boolean;
}

/** Those that pass; where words are searched, those with a word in the name come first. */
export function filterTools(rows: readonly ToolRow[], filters: ToolFilters): readonly ToolRow[] {
  const wanted = filters.search.toLowerCase().split(/\s+/).filter(Boolean);
  const passing = rows.filter((tool) => {
    if (filters.tag && !tool.tags.includes(filters.tag)) return false;
    if (filters.availability && availabilityOf(tool) !== filters.availability) return false;
    if (filters.trusted && !tool.providers.some((provider) => provider.node.trust.state !== 'UNTRUSTED')) return false;
    if (wanted.length === 0) return true;
    const text = `${tool.name} ${tool.tags.join(' ')} ${tool.description ?? ''} ${tool.providers.map((provider) => provider.node.name).join(' ')}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
  if (wanted.length === 0) return passing;
  const rank = (tool: ToolRow) => {
    const name = tool.name.toLowerCase();
    if (wanted.some((word) => name.startsWith(word))) return 0;
    return wanted.some((word) => name.includes(word)) ? 1 : 2;
  };
  return passing.map((tool) => ({ tool, rank: rank(tool) })).sort((a, b) => a.rank - b.rank).map(({ tool }) => tool);
}

/** Every tag, those of the most tools first, with how many there are. */
export function tagsOf(rows: readonly ToolRow[]): { tag: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const tool of rows) for (const tag of tool.tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts].map(([tag, count]) => ({ tag, count })).sort((a, b) => b.count - a.count || a.tag.localeCompare(b.tag));
}
