import type { Point } from './shape';

/** What of the picture is seen: a place of it lies at place * zoom + (x, y) on the screen. */
export interface Camera {
  x: number;
  y: number;
  zoom: number;
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const ZOOM_MIN = 0.04;
const ZOOM_MAX = 2.5;

export function toScreen(camera: Camera, point: Point): Point {
  return { x: point.x * camera.zoom + camera.x, y: point.y * camera.zoom + camera.y };
}

export function toPicture(camera: Camera, point: Point): Point {
  return { x: (point.x - camera.x) / camera.zoom, y: (point.y - camera.y) / camera.zoom };
}

/** What lies at the point on the screen stays there. */
export function zoomed(camera: Camera, factor: number, at: Point): Camera {
  const zoom = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, camera.zoom * factor));
  const ratio = zoom / camera.zoom;
  return { zoom, x: at.x - (at.x - camera.x) * ratio, y: at.y - (at.y - camera.y) * ratio };
}

/** Shows all of a box, with a margin, and nothing larger than it is by itself. */
export function fitted(box: Box, width: number, height: number, margin = 40): Camera {
  const zoom = Math.max(ZOOM_MIN, Math.min(1, (width - 2 * margin) / Math.max(1, box.right - box.left), (height - 2 * margin) / Math.max(1, box.bottom - box.top)));
  return { zoom, x: (width - (box.left + box.right) * zoom) / 2, y: (height - (box.top + box.bottom) * zoom) / 2 };
}

/** Moved as little as is needed for a place to be well in view, and near enough to be read. */
export function revealing(camera: Camera, point: Point, width: number, height: number): Camera {
  const zoom = Math.max(camera.zoom, 0.7);
  const near = zoom === camera.zoom ? camera : zoomed(camera, zoom / camera.zoom, toScreen(camera, point));
  const { x, y } = toScreen(near, point);
  const margin = Math.min(150, width / 3, height / 3);
  const target = { x: Math.min(width - margin, Math.max(margin, x)), y: Math.min(height - margin, Math.max(margin, y)) };
  return { zoom, x: near.x + target.x - x, y: near.y + target.y - y };
}

export function between(a: Camera, b: Camera, part: number): Camera {
  const mix = (from: number, to: number) => from + (to - from) * part;
  return { x: mix(a.x, b.x), y: mix(a.y, b.y), zoom: mix(a.zoom, b.zoom) };
}
