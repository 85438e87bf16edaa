// A Model Context Protocol server by hand, over stdio, of the era that its first argument names: "present" (2026-07-28,
// no session) or "older" (2025-11-25). One of its tools is broken, its tools change when one of them is called, and it
// says on stderr what it was told to stop.
import { createInterface } from "node:readline";

const present = process.argv[2] === "present";
const info = { name: "by hand", version: "1.2.0" };
const capabilities = { tools: { listChanged: true } };
const object = { type: "object" };
let tools = [
  { name: "add", description: "Adds", inputSchema: { type: "object", properties: { a: { type: "number" } } },
    outputSchema: { type: "object", required: ["sum"] }, annotations: { idempotentHint: true } },
  { name: "broken", inputSchema: { type: "no such type" } },
  { name: "grow", inputSchema: object },
  { name: "wait", inputSchema: object },
  { name: "die", inputSchema: object },
];
let listener = null;

const say = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const complete = (result) => (present ? { resultType: "complete", ...result } : result);
const about = (id) => ({ _meta: { "io.modelcontextprotocol/subscriptionId": id } });

function call(id, { name, arguments: given }) {
  switch (name) {
    case "add":
      return { content: [{ type: "text", text: "added" }], structuredContent: { sum: given.a + given.b } };
    case "grow":
      tools = tools.filter((tool) => tool.name !== "add").concat({ name: "grown", inputSchema: object });
      if (!present || listener !== null) {
        say({ method: "notifications/tools/list_changed", params: present ? about(listener) : {} });
      }
      return { content: [] };
    case "wait":
      return null;
    case "die":
      process.exit(3);
  }
  return { content: [{ type: "text", text: `no tool ${name}` }], isError: true };
}

function answer({ id, method, params }) {
  switch (method) {
    case present && "server/discover":
      return { supportedVersions: ["2026-07-28"], capabilities, ttlMs: 0, cacheScope: "private",
        _meta: { "io.modelcontextprotocol/serverInfo": info } };
    case !present && "initialize":
      return { protocolVersion: "2025-11-25", capabilities, serverInfo: info };
    case "tools/list": {
      // One a page.
      const at = Number(params?.cursor ?? 0);
      const more = at + 1 < tools.length ? { nextCursor: String(at + 1) } : {};
      return { tools: [tools[at]], ...more, ...(present ? { ttlMs: 0, cacheScope: "private" } : {}) };
    }
    case "tools/call":
      return call(id, params);
    case "subscriptions/listen":
      listener = id;
      say({ method: "notifications/subscriptions/acknowledged",
        params: { notifications: { toolsListChanged: true }, ...about(id) } });
      return null;
  }
  return undefined;
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const message = JSON.parse(line);
  if (message.method === "notifications/cancelled") {
    process.stderr.write(`stopped ${message.params.requestId}\n`);
  }
  if (message.id === undefined) return;
  const result = answer(message);
  if (result === undefined) {
    say({ id: message.id, error: { code: -32601, message: `no method ${message.method}` } });
  } else if (result !== null) {
    say({ id: message.id, result: complete(result) });
  }
});
