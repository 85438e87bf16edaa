import { layoutOf } from './layout';
import type { LayoutInput } from './shape';

/** Lays out beside the page: a thousand nodes take a second or more. */
self.addEventListener('message', (event: MessageEvent<LayoutInput>) => {
  self.postMessage(layoutOf(event.data));
});
