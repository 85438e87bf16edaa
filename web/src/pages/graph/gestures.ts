import type { Point } from './shape';

export interface Gestures {
  pan: (dx: number, dy: number) => void;
  zoom: (factor: number, at: Point) => void;
  point: (at: Point | null) => void;
  tap: (at: Point, twice: boolean) => void;
}

/** A pointer that moved less than this was a tap. */
const SLACK_PX = 5;
const TWICE_MS = 350;

/** Dragging, pinching, the wheel and taps, as what they mean. Answers how to stop listening. */
export function listen(element: HTMLElement, gestures: Gestures): () => void {
  const down = new Map<number, Point>();
  let began: Point | null = null;
  let moved = false;
  let tappedAt = 0;

  const at = (event: MouseEvent): Point => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const onDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    if (down.size === 1) {
      began = at(event);
      moved = false;
    }
  };
  const onMove = (event: PointerEvent) => {
    const now = at(event);
    const before = down.get(event.pointerId);
    if (!before) {
      gestures.point(now);
      return;
    }
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    if (began && Math.hypot(now.x - began.x, now.y - began.y) > SLACK_PX) moved = true;
    down.set(event.pointerId, now);
    if (!moved) return;
    if (other) {
      moved = true;
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      gestures.zoom(distance(now, other) / Math.max(1, distance(before, other)), middle);
      gestures.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else gestures.pan(now.x - before.x, now.y - before.y);
  };
  const onUp = (event: PointerEvent) => {
    if (!down.delete(event.pointerId) || down.size > 0 || moved) return;
    const twice = event.timeStamp - tappedAt < TWICE_MS;
    tappedAt = twice ? 0 : event.timeStamp;
    gestures.tap(at(event), twice);
  };
  const onCancel = (event: PointerEvent) => void down.delete(event.pointerId);
  const onLeave = () => gestures.point(null);
  const onWheel = (event: WheelEvent) => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    if (event.shiftKey) gestures.pan(-(event.deltaX || event.deltaY) * lines, 0);
    else gestures.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), at(event));
  };

  const stop = new AbortController();
  const { signal } = stop;
  element.addEventListener('pointerdown', onDown, { signal });
  element.addEventListener('pointermove', onMove, { signal });
  element.addEventListener('pointerup', onUp, { signal });
  element.addEventListener('pointercancel', onCancel, { signal });
  element.addEventListener('pointerleave', onLeave, { signal });
  element.addEventListener('wheel', onWheel, { signal, passive: false });
  return () => stop.abort();
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
