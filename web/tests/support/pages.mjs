import { readFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { extname, join, normalize } from 'node:path';

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.ttf': 'font/ttf' };

export const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
  "connect-src 'self' ws: wss:; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'";

/** Serves the built pages in front of a registry that has none in it, as one that has them does. */
export function servePages(dist, registry) {
  const upstream = () => new URL(registry.url);
  const asked = (headers) => ({ ...headers, host: upstream().host, origin: upstream().origin });
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://pages');
    if (pathname === '/graphql') {
      const { hostname, port } = upstream();
      const passed = http.request({ hostname, port, path: request.url, method: request.method, headers: asked(request.headers) }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      passed.on('error', () => response.writeHead(502).end());
      request.pipe(passed);
      return;
    }
    const file = extname(pathname) ? pathname : pathname === '/graphiql' ? '/graphiql.html' : '/index.html';
    try {
      const body = await readFile(join(dist, normalize(file)));
      response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream', 'Content-Security-Policy': POLICY }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.on('upgrade', (request, client, head) => {
    const { hostname, port } = upstream();
    const passed = net.connect(Number(port), hostname, () => {
      const lines = Object.entries(asked(request.headers)).map(([name, value]) => `${name}: ${value}\r\n`);
      passed.write(`GET ${request.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
      passed.write(head);
      passed.pipe(client).pipe(passed);
    });
    for (const [one, other] of [[passed, client], [client, passed]]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () =>
      resolve({
        url: `http://127.0.0.1:${server.address().port}`,
        close: () => {
          server.closeAllConnections();
          server.close();
        },
      }),
    );
  });
}
