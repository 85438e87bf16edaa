import type { Camera } from './camera';

/** The last sharp picture, moved and scaled while the view moves: cheap, however much there is on it. */
export class Still {
  #copy = document.createElement('canvas');
  #camera: Camera | null = null;

  take(canvas: HTMLCanvasElement, camera: Camera) {
    this.#copy.width = canvas.width;
    this.#copy.height = canvas.height;
    this.#copy.getContext('2d')?.drawImage(canvas, 0, 0);
    this.#camera = camera;
  }

  forget() {
    this.#camera = null;
  }

  /** Whether there was one to show. */
  show(context: CanvasRenderingContext2D, camera: Camera, ratio: number): boolean {
    const taken = this.#camera;
    if (!taken) return false;
    const scale = camera.zoom / taken.zoom;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    context.setTransform(scale, 0, 0, scale, (camera.x - taken.x * scale) * ratio, (camera.y - taken.y * scale) * ratio);
    context.drawImage(this.#copy, 0, 0);
    return true;
  }
}
