import { toPicture, type Camera } from './camera';
import { NODE_HEIGHT, NODE_WIDTH, type Point } from './shape';
import { EDGE_LOOKS, shortened, statusTone, type Palette, type LinkKind } from './looks';
import type { GraphItem, GraphLink, GraphModel } from './model';
import { titled } from '~/lib/format';

export interface Emphasis {
  /** All others step back. */
  nodes: ReadonlySet<string>;
  links: (link: GraphLink) => boolean;
  tone: 'accent' | 'bad';
}

export interface Scene {
  model: GraphModel;
  places: ReadonlyMap<string, Point>;
  routes: ReadonlyMap<string, readonly Point[]>;
  chosen: string | null;
  focus: string | null;
  hovered: string | null;
  found: ReadonlySet<string>;
  emphasis: Emphasis | null;
  palette: Palette;
}

/** Below it names cannot be read and are not drawn. */
const READABLE = 0.42;
const FADED = 0.3;
const KIND_GAP = 5;

export function draw(context: CanvasRenderingContext2D, scene: Scene, camera: Camera, width: number, height: number, ratio: number) {
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.setTransform(camera.zoom * ratio, 0, 0, camera.zoom * ratio, camera.x * ratio, camera.y * ratio);
  const from = toPicture(camera, { x: 0, y: 0 });
  const to = toPicture(camera, { x: width, y: height });
  drawLinks(context, scene, camera.zoom, from, to);
  for (const item of scene.model.items.values()) {
    const place = scene.places.get(item.id);
    if (!place || outside(place, from, to)) continue;
    context.globalAlpha = scene.emphasis && !scene.emphasis.nodes.has(item.id) ? FADED : 1;
    if (camera.zoom < READABLE) drawSmall(context, scene, item, place, camera.zoom);
    else drawNode(context, scene, item, place);
  }
  context.globalAlpha = 1;
}

function outside(place: Point, from: Point, to: Point): boolean {
  return place.x + NODE_WIDTH < from.x || place.x - NODE_WIDTH > to.x || place.y + NODE_HEIGHT < from.y || place.y - NODE_HEIGHT > to.y;
}

function drawLinks(context: CanvasRenderingContext2D, scene: Scene, zoom: number, from: Point, to: Point) {
  const { palette, emphasis } = scene;
  // One path for all lines that look alike: a thousand strokes cost more than a stroke of a thousand lines.
  const paths = new Map<string, { kind: LinkKind; lit: boolean; cyclic: boolean; lines: Path2D; heads: Path2D }>();
  for (const link of scene.model.links) {
    const self = link.from === link.to ? scene.places.get(link.from) : undefined;
    const route = self ? loop(self) : scene.routes.get(link.key);
    if (!route || unseen(route, from, to)) continue;
    const lit = emphasis === null || emphasis.links(link);
    link.kinds.forEach((kind, index) => {
      const key = `${kind}${lit}${link.cyclic}`;
      let path = paths.get(key);
      if (!path) paths.set(key, (path = { kind, lit, cyclic: link.cyclic, lines: new Path2D(), heads: new Path2D() }));
      const shift = (index - (link.kinds.length - 1) / 2) * KIND_GAP;
      trace(path.lines, route, shift);
      if (zoom > 0.2) head(path.heads, route, shift);
    });
  }
  const width = Math.max(1.3, 0.6 / zoom);
  for (const { kind, lit, cyclic, lines, heads } of [...paths.values()].sort((a, b) => Number(a.lit) - Number(b.lit))) {
    const look = EDGE_LOOKS[kind];
    // From afar lines lie over each other: thinner ones leave the layers to be seen.
    context.globalAlpha = lit ? (emphasis ? 1 : Math.min(1, 0.35 + zoom)) : FADED / 2;
    if (cyclic && lit) {
      context.setLineDash([]);
      context.strokeStyle = palette['warn-soft'];
      context.lineWidth = width * 5;
      context.stroke(lines);
    }
    const colour = emphasis?.tone === 'bad' && lit ? palette.bad : palette[look.token];
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.lineWidth = emphasis && lit ? width * 1.5 : width;
    context.setLineDash(look.dash as number[]);
    context.stroke(lines);
    context.fill(heads);
  }
  context.setLineDash([]);
}

/** A node that feeds itself: a line out of its right side, over it, and into its left. */
export function loop(place: Point): readonly Point[] {
  const side = NODE_WIDTH / 2;
  const above = place.y - NODE_HEIGHT / 2 - 7;
  return [{ x: place.x + side, y: place.y }, { x: place.x + side + 14, y: place.y - 14 }, { x: place.x + side, y: above }, { x: place.x - side, y: above }, { x: place.x - side - 14, y: place.y - 14 }, { x: place.x - side, y: place.y }];
}

function unseen(route: readonly Point[], from: Point, to: Point): boolean {
  return route.every((point) => point.x < from.x) || route.every((point) => point.x > to.x) || route.every((point) => point.y < from.y) || route.every((point) => point.y > to.y);
}

interface Pen {
  moveTo(x: number, y: number): void;
  bezierCurveTo(x1: number, y1: number, x2: number, y2: number, x: number, y: number): void;
}

/** A smooth line that leaves, passes and arrives level. */
export function trace(pen: Pen, route: readonly Point[], shift: number) {
  const [first] = route;
  if (!first) return;
  pen.moveTo(first.x, first.y + shift);
  let before = first;
  for (const point of route.slice(1)) {
    const half = (point.x - before.x) / 2;
    pen.bezierCurveTo(before.x + half, before.y + shift, point.x - half, point.y + shift, point.x, point.y + shift);
    before = point;
  }
}

export function head(pen: { moveTo(x: number, y: number): void; lineTo(x: number, y: number): void; closePath(): void }, route: readonly Point[], shift: number) {
  const end = route.at(-1);
  const before = route.at(-2);
  if (!end || !before) return;
  const back = end.x > before.x ? -8 : 8;
  pen.moveTo(end.x, end.y + shift);
  pen.lineTo(end.x + back, end.y + shift - 4);
  pen.lineTo(end.x + back, end.y + shift + 4);
  pen.closePath();
}

function outlineOf(scene: Scene, item: GraphItem): { colour: string; width: number } {
  const { palette } = scene;
  if (scene.chosen === item.id) return { colour: scene.emphasis?.tone === 'bad' ? palette.bad : palette.accent, width: 2.5 };
  if (scene.focus === item.id || scene.hovered === item.id) return { colour: palette.accent, width: 1.5 };
  if (scene.found.has(item.id)) return { colour: palette.accent, width: 2 };
  if (scene.emphasis?.tone === 'bad' && scene.emphasis.nodes.has(item.id)) return { colour: palette.bad, width: 1.5 };
  if (item.missing) return { colour: palette.bad, width: 1.5 };
  if (item.cycle !== null) return { colour: palette.warn, width: 1.5 };
  return { colour: palette['line-strong'], width: 0.8 };
}

function drawSmall(context: CanvasRenderingContext2D, scene: Scene, item: GraphItem, place: Point, zoom: number) {
  const { palette } = scene;
  const tone = statusTone(item.status);
  const outline = outlineOf(scene, item);
  context.fillStyle = item.missing ? palette['bad-soft'] : scene.found.has(item.id) || scene.chosen === item.id ? palette['accent-soft'] : palette.surface;
  context.strokeStyle = outline.colour;
  context.lineWidth = outline.width / zoom;
  context.beginPath();
  context.rect(place.x - NODE_WIDTH / 2, place.y - NODE_HEIGHT / 2, NODE_WIDTH, NODE_HEIGHT);
  context.fill();
  context.setLineDash(item.missing ? [12, 8] : []);
  context.stroke();
  context.setLineDash([]);
  if (item.missing || tone === 'neutral') return;
  context.fillStyle = palette[tone];
  context.fillRect(place.x - NODE_WIDTH / 2, place.y - NODE_HEIGHT / 2, 16, NODE_HEIGHT);
}

function drawNode(context: CanvasRenderingContext2D, scene: Scene, item: GraphItem, place: Point) {
  const { palette } = scene;
  const left = place.x - NODE_WIDTH / 2;
  const top = place.y - NODE_HEIGHT / 2;
  const outline = outlineOf(scene, item);
  context.beginPath();
  context.roundRect(left, top, NODE_WIDTH, NODE_HEIGHT, 7);
  context.fillStyle = item.missing ? palette['bad-soft'] : scene.chosen === item.id || scene.found.has(item.id) ? palette['accent-soft'] : palette.surface;
  context.fill();
  context.setLineDash(item.missing ? [5, 4] : []);
  context.strokeStyle = outline.colour;
  context.lineWidth = outline.width;
  context.stroke();
  context.setLineDash([]);

  drawDot(context, palette, item, left + 15, place.y);
  context.textBaseline = 'middle';
  context.font = `500 12px ${FONT}`;
  context.fillStyle = palette.text;
  const room = NODE_WIDTH - 40 - (item.cycle === null ? 0 : 18);
  context.fillText(label(context, item.name, room), left + 28, place.y - 7);
  context.font = `11px ${FONT}`;
  context.fillStyle = item.missing ? palette.bad : palette['text-2'];
  context.fillText(noteOf(item), left + 28, place.y + 9);
  if (item.cycle === null) return;
  context.font = `600 14px ${FONT}`;
  context.fillStyle = palette.warn;
  context.fillText('↻', left + NODE_WIDTH - 22, place.y - 6);
}

export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

export function noteOf(item: GraphItem): string {
  if (item.missing) return 'Missing: nobody registered it';
  return [item.kind && titled(item.kind), item.version].filter(Boolean).join(' · ');
}

const labels = new Map<string, string>();

function label(context: CanvasRenderingContext2D, name: string, room: number): string {
  const key = `${room} ${name}`;
  const known = labels.get(key);
  if (known !== undefined) return known;
  const text = shortened(name, (part) => context.measureText(part).width, room);
  labels.set(key, text);
  return text;
}

/** The same shapes as of every status: a disc, a lozenge, a square, a ring. */
function drawDot(context: CanvasRenderingContext2D, palette: Palette, item: GraphItem, x: number, y: number) {
  const tone = statusTone(item.status);
  context.beginPath();
  if (item.missing) {
    context.font = `700 13px ${FONT}`;
    context.textBaseline = 'middle';
    context.fillStyle = palette.bad;
    context.fillText('?', x - 4, y);
    return;
  }
  if (tone === 'warn') {
    context.moveTo(x, y - 5);
    context.lineTo(x + 5, y);
    context.lineTo(x, y + 5);
    context.lineTo(x - 5, y);
    context.closePath();
  } else if (tone === 'bad') context.rect(x - 4, y - 4, 8, 8);
  else context.arc(x, y, tone === 'neutral' ? 3.5 : 4, 0, Math.PI * 2);
  if (tone === 'neutral') {
    context.strokeStyle = palette['line-strong'];
    context.lineWidth = 1.5;
    context.stroke();
  } else {
    context.fillStyle = palette[tone];
    context.fill();
  }
}
