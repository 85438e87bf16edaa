/** How large a node is drawn. */
export const NODE_WIDTH = 228;
export const NODE_HEIGHT = 40;

export interface Point {
  x: number;
  y: number;
}

export interface LayoutInput {
  /** In an order that is the same for the same nodes, so that the picture is. */
  ids: readonly string[];
  links: readonly { key: string; from: string; to: string }[];
}

export interface Layout {
  /** The middle of each node. */
  places: ReadonlyMap<string, Point>;
  /** Where each link passes, from the edge of a node to that of another. */
  routes: ReadonlyMap<string, readonly Point[]>;
  width: number;
  height: number;
}
