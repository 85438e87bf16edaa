import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Where the registry is while the pages are developed; in service it serves them itself. */
const registry = process.env['ONEX_URL'] ?? 'http://127.0.0.1:4000';

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '~': here('./src') } },
  build: {
    target: 'es2023',
    // The policy of the pages refuses inline scripts; what is small is a file of its own as well.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4_000,
    rolldownOptions: {
      input: { index: here('./index.html'), graphiql: here('./graphiql.html') },
      output: {
        // What both pages need and seldom changes is apart, so that a new version leaves it in the browser's cache.
        codeSplitting: {
          groups: [{ name: 'react', test: /node_modules\/(react|react-dom|scheduler)\// }],
        },
      },
    },
  },
  server: {
    proxy: {
      '/graphql': {
        target: registry,
        changeOrigin: true,
        ws: true,
        // The registry refuses pages of other origins, and the development server is one.
        headers: { origin: registry },
      },
    },
  },
});
