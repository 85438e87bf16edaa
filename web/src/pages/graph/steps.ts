import type { Layout, Point } from './shape';
import type { GraphModel } from './model';

/** Where an arrow key leads: left to who feeds the node, right to whom it feeds, up and down within its layer. */
export function step(key: string, model: GraphModel, { places }: Layout, from: string | null): string | null {
  if (!['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'].includes(key)) return null;
  const here = from === null ? undefined : places.get(from);
  if (from === null || !here) return [...model.items.keys()].find((id) => places.has(id)) ?? null;
  if (key === 'ArrowLeft') return nearest(here, (model.into.get(from) ?? []).map((link) => link.from), places, from);
  if (key === 'ArrowRight') return nearest(here, (model.outOf.get(from) ?? []).map((link) => link.to), places, from);
  const sign = key === 'ArrowDown' ? 1 : -1;
  const beside = [...places].filter(([, place]) => (place.y - here.y) * sign > 1 && Math.abs(place.x - here.x) < 1).map(([id]) => id);
  return nearest(here, beside, places, from);
}

function nearest(here: Point, ids: readonly string[], places: ReadonlyMap<string, Point>, except: string): string | null {
  let best: string | null = null;
  let least = Infinity;
  for (const id of ids) {
    const place = places.get(id);
    if (!place || id === except) continue;
    const far = Math.hypot(place.x - here.x, place.y - here.y);
    if (far < least) {
      least = far;
      best = id;
    }
  }
  return best;
}
