import type { EdgeKind, EdgeOrigin, NodeStatus } from '~/gql/enums';
import type { Tone } from '~/ui/Badge';
import { nodeTone } from '~/components/statuses';

/** Colours that are drawn with, by the names of their tokens. */
const TOKENS = [
  'bg', 'surface', 'inset', 'line', 'line-strong', 'text', 'text-2', 'text-3', 'accent', 'accent-soft', 'ok', 'warn', 'warn-soft', 'bad', 'bad-soft',
  'series-1', 'series-2', 'series-3', 'series-4',
] as const;
export type Token = (typeof TOKENS)[number];
export type Palette = Record<Token, string>;

/** The tokens as colours, as they are in the theme that holds where the element is. */
export function paletteAt(element: Element): Palette {
  const probe = document.createElement('span');
  element.append(probe);
  const entries = TOKENS.map((token) => {
    probe.style.color = `var(--${token})`;
    return [token, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(entries) as Palette;
}

export interface EdgeLook {
  token: Token;
  /** Lengths of strokes and gaps: kinds differ besides the colour. */
  dash: readonly number[];
  /** What the kind means. */
  title: string;
  /** How an end says it of the other, as in "publishes ORDERS". */
  gives: string;
  takes: string;
}

/** How an edge is drawn and named: by its kind, or as one that was seen and that nobody declares. */
export type LinkKind = EdgeKind | 'SEEN';

export function linkKind(edge: { kind: EdgeKind; origin: EdgeOrigin }): LinkKind {
  return edge.origin === 'OBSERVED' ? 'SEEN' : edge.kind;
}

export const EDGE_LOOKS: Record<LinkKind, EdgeLook> = {
  TOPIC: { token: 'series-1', dash: [], title: 'Topic', gives: 'publishes', takes: 'reads' },
  DEPENDENCY: { token: 'series-2', dash: [9, 5], title: 'Dependency', gives: 'is needed as', takes: 'needs' },
  TOOL: { token: 'series-4', dash: [2, 4], title: 'Tool', gives: 'offers', takes: 'calls' },
  AGENT: { token: 'series-3', dash: [10, 4, 2, 4], title: 'Agent', gives: 'as its agent', takes: 'as its agent' },
  SEEN: { token: 'text-2', dash: [1, 6], title: 'Seen, not declared', gives: 'was seen to publish', takes: 'was seen to read' },
};
export const EDGE_KINDS = Object.keys(EDGE_LOOKS) as LinkKind[];

export function statusTone(status: NodeStatus | null): Tone {
  return status === null ? 'bad' : nodeTone[status];
}

/** Both ends of a long name: what differs is mostly at the end. */
export function shortened(name: string, widthOf: (text: string) => number, room: number): string {
  if (widthOf(name) <= room) return name;
  let low = 4;
  let high = name.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (widthOf(cut(name, middle)) <= room) low = middle;
    else high = middle - 1;
  }
  return cut(name, low);
}

function cut(name: string, length: number): string {
  const end = Math.floor(length * 0.55);
  return `${name.slice(0, length - end)}…${name.slice(-end)}`;
}
