import { between, fitted, revealing, toPicture, toScreen, zoomed, type Box, type Camera } from './camera';
import { draw, type Scene } from './draw';
import { listen } from './gestures';
import { NODE_HEIGHT, NODE_WIDTH, type Layout, type Point } from './shape';
import { Still } from './Still';

export interface PictureEvents {
  choose: (id: string | null) => void;
  open: (id: string) => void;
  hover: (id: string | null, at: Point | null) => void;
}

export type PictureState = Omit<Scene, 'places' | 'routes'>;

const MOVE_MS = 320;
/** When so much is in view, a moving view shows the last sharp picture, and a sharp one as soon as it rests. */
const MUCH = 600;
const NEAR = 0.42;
const REST_MS = 90;

/**
 * The canvas with the graph on it: what is seen of it, and how it moves.
 *
 * It draws when something is other than before, at most once a frame. A new layout moves each node from where it was,
 * and keeps in its place what the viewer looks at.
 */
export class Picture {
  #canvas: HTMLCanvasElement;
  #events: PictureEvents;
  #state: PictureState;
  #layout: Layout | null = null;
  #question: string | null = null;
  #camera: Camera = { x: 0, y: 0, zoom: 1 };
  #journey: { from: Camera; to: Camera; began: number } | null = null;
  #move: { from: ReadonlyMap<string, Point>; began: number } | null = null;
  #frame = 0;
  #still = new Still();
  #movedAt = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #stop: () => void;
  #calm = window.matchMedia('(prefers-reduced-motion: reduce)');

  constructor(canvas: HTMLCanvasElement, state: PictureState, events: PictureEvents) {
    this.#canvas = canvas;
    this.#state = state;
    this.#events = events;
    const stopGestures = listen(canvas, {
      pan: (dx, dy) => this.#look({ ...this.#camera, x: this.#camera.x + dx, y: this.#camera.y + dy }),
      zoom: (factor, at) => this.#look(zoomed(this.#camera, factor, at)),
      point: (at) => events.hover(at && this.#nodeAt(at), at),
      tap: (at, twice) => {
        const id = this.#nodeAt(at);
        if (twice && id) this.#events.open(id);
        else this.#events.choose(id);
      },
    });
    const resized = new ResizeObserver(() => this.#resize());
    resized.observe(canvas);
    this.#stop = () => {
      stopGestures();
      resized.disconnect();
      cancelAnimationFrame(this.#frame);
      clearTimeout(this.#rest);
    };
  }

  dispose() {
    this.#stop();
  }

  set(state: PictureState) {
    this.#state = state;
    this.#still.forget();
    this.#ask();
  }

  /** The same question with another answer keeps the view; another question is shown whole. */
  arrange(layout: Layout, question: string) {
    const before = this.#layout;
    if (before === layout) return;
    const first = before === null;
    const anchor = before && this.#anchor(before, layout);
    const old = before && this.#placesNow();
    this.#layout = layout;
    this.#still.forget();
    if (old && !this.#calm.matches) this.#move = { from: old, began: performance.now() };
    if (question !== this.#question) {
      this.#question = question;
      this.fit(first);
    } else if (anchor) {
      const { x, y } = toScreen(this.#camera, anchor.before);
      this.#camera = { ...this.#camera, x: x - anchor.now.x * this.#camera.zoom, y: y - anchor.now.y * this.#camera.zoom };
    }
    this.#ask();
  }

  fit(atOnce = false) {
    if (!this.#layout) return;
    const { width, height } = this.#layout;
    this.#travel(fitted({ left: 0, top: 0, right: width, bottom: height }, this.#canvas.clientWidth, this.#canvas.clientHeight), atOnce);
  }

  show(ids: ReadonlySet<string>) {
    const places = [...ids].map((id) => this.#layout?.places.get(id)).filter((place) => place !== undefined);
    if (places.length === 0) return;
    const box: Box = {
      left: Math.min(...places.map((place) => place.x)) - NODE_WIDTH / 2, right: Math.max(...places.map((place) => place.x)) + NODE_WIDTH / 2,
      top: Math.min(...places.map((place) => place.y)) - NODE_HEIGHT / 2, bottom: Math.max(...places.map((place) => place.y)) + NODE_HEIGHT / 2,
    };
    this.#travel(fitted(box, this.#canvas.clientWidth, this.#canvas.clientHeight, 60), false);
  }

  reveal(id: string) {
    const place = this.#layout?.places.get(id);
    if (place) this.#travel(revealing(this.#camera, place, this.#canvas.clientWidth, this.#canvas.clientHeight), false);
  }

  zoom(factor: number) {
    const { clientWidth, clientHeight } = this.#canvas;
    this.#travel(zoomed(this.#journey?.to ?? this.#camera, factor, { x: clientWidth / 2, y: clientHeight / 2 }), false);
  }

  pan(dx: number, dy: number) {
    this.#look({ ...this.#camera, x: this.#camera.x + dx, y: this.#camera.y + dy });
  }

  #look(camera: Camera) {
    this.#camera = camera;
    this.#journey = null;
    this.#movedAt = performance.now();
    this.#ask();
  }

  #travel(to: Camera, atOnce: boolean) {
    if (atOnce || this.#calm.matches) this.#look(to);
    else this.#journey = { from: this.#camera, to, began: performance.now() };
    this.#ask();
  }

  /** The node that stays where it is on the screen: the chosen one, else the nearest to the middle. */
  #anchor(before: Layout, now: Layout): { before: Point; now: Point } | null {
    const middle = toPicture(this.#camera, { x: this.#canvas.clientWidth / 2, y: this.#canvas.clientHeight / 2 });
    let best: { before: Point; now: Point } | null = null;
    let least = Infinity;
    for (const [id, place] of before.places) {
      const next = now.places.get(id);
      const far = id === this.#state.chosen ? -1 : Math.hypot(place.x - middle.x, place.y - middle.y);
      if (next && far < least) {
        least = far;
        best = { before: place, now: next };
      }
    }
    return best;
  }

  #nodeAt(at: Point): string | null {
    const { x, y } = toPicture(this.#camera, at);
    for (const [id, place] of this.#layout?.places ?? []) {
      if (Math.abs(place.x - x) <= NODE_WIDTH / 2 && Math.abs(place.y - y) <= NODE_HEIGHT / 2) return id;
    }
    return null;
  }

  #placesNow(): ReadonlyMap<string, Point> {
    const layout = this.#layout;
    const move = this.#move;
    if (!layout) return new Map();
    if (!move) return layout.places;
    const left = 1 - eased((performance.now() - move.began) / MOVE_MS);
    return new Map([...layout.places].map(([id, to]) => {
      const from = move.from.get(id) ?? to;
      return [id, { x: to.x + (from.x - to.x) * left, y: to.y + (from.y - to.y) * left }];
    }));
  }

  /** Lines bend with their ends while these move. */
  #routesNow(places: ReadonlyMap<string, Point>): Layout['routes'] {
    const layout = this.#layout;
    if (!layout) return new Map();
    if (!this.#move) return layout.routes;
    return new Map(this.#state.model.links.flatMap((link) => {
      const route = layout.routes.get(link.key);
      const shifts = [link.from, link.to].map((id) => {
        const to = layout.places.get(id);
        const now = places.get(id);
        return to && now ? { x: now.x - to.x, y: now.y - to.y } : { x: 0, y: 0 };
      });
      const [a = { x: 0, y: 0 }, b = a] = shifts;
      if (!route) return [];
      const last = Math.max(1, route.length - 1);
      return [[link.key, route.map(({ x, y }, index) => ({ x: x + a.x + ((b.x - a.x) * index) / last, y: y + a.y + ((b.y - a.y) * index) / last }))] as const];
    }));
  }

  #resize() {
    const ratio = window.devicePixelRatio;
    this.#still.forget();
    const { clientWidth, clientHeight } = this.#canvas;
    this.#canvas.width = Math.round(clientWidth * ratio);
    this.#canvas.height = Math.round(clientHeight * ratio);
    this.#paint();
  }

  #ask() {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const context = this.#canvas.getContext('2d');
    if (!context || !this.#layout) return;
    const now = performance.now();
    if (this.#journey) {
      const part = (now - this.#journey.began) / MOVE_MS;
      this.#camera = between(this.#journey.from, this.#journey.to, eased(part));
      if (part >= 1) this.#journey = null;
    }
    if (this.#move && now - this.#move.began >= MOVE_MS) this.#move = null;
    const moving = this.#journey !== null || now - this.#movedAt < REST_MS;
    if (moving && !this.#move && this.#much() && this.#still.show(context, this.#camera, window.devicePixelRatio)) {
      if (this.#journey) this.#ask();
      clearTimeout(this.#rest);
      this.#rest = setTimeout(() => this.#ask(), REST_MS + 10);
      return;
    }
    const places = this.#placesNow();
    const scene = { ...this.#state, places, routes: this.#routesNow(places) };
    draw(context, scene, this.#camera, this.#canvas.clientWidth, this.#canvas.clientHeight, window.devicePixelRatio);
    if (this.#much()) this.#still.take(this.#canvas, this.#camera);
    else this.#still.forget();
    if (this.#journey || this.#move) this.#ask();
  }

  #much(): boolean {
    const { model } = this.#state;
    return this.#camera.zoom < NEAR && model.items.size + model.links.length > MUCH;
  }
}

function eased(part: number): number {
  const rest = 1 - Math.min(1, Math.max(0, part));
  return 1 - rest ** 3;
}
