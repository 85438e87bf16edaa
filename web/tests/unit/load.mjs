import { fileURLToPath } from 'node:url';
import { after } from 'node:test';
import { createServer } from 'vite';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Vite alone, as it reads the pages: Node.js does not know TypeScript, nor what `~` means. */
const server = await createServer({
  configFile: false,
  root,
  logLevel: 'error',
  resolve: { alias: { '~': `${root}src` } },
  server: { middlewareMode: true, watch: null, ws: false },
  optimizeDeps: { noDiscovery: true },
  appType: 'custom',
});
after(() => server.close());

/** A module of the pages, by its path below `src`. */
export const load = (path) => server.ssrLoadModule(`/src/${path}`);
