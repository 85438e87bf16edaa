/** Operations that show a newcomer what can be asked, one a tab. Each runs as it stands. */
export const examples: readonly { query: string; variables?: string; headers?: string }[] = [
  {
    query: `# Ctrl+Enter runs the operation under the cursor. Ctrl+Space completes.
# The button with the folder opens the explorer, the book the documentation.
#
# Where the registry asks for a token, write into "Headers" below:
#   {"Authorization": "Bearer onex_..."}

query Welcome {
  registry {
    version
    sequence
    startedAt
    counts { nodes onlineNodes tools topics activeLeases }
  }
  nodes(first: 10) {
    totalCount
    nodes { name kind status trust { state } }
  }
}
`,
  },
  {
    query: `# Every change as it happens: leave it running, and register or call something.
# With after: 0 it begins with the whole history.

subscription Watch($after: Sequence) {
  registryEvents(after: $after) {
    sequence
    type
    time
    actor
    metadata
  }
}
`,
    variables: '{\n  "after": 0\n}',
  },
  {
    query: `# Who feeds whom. Downstream of a node is what may break when it stops.

query Graph {
  dependencyGraph {
    nodes { id name missing }
    edges { from to kind via }
    cycles
  }
}
`,
  },
  {
    query: `# A node with a tool, for ten minutes. A program that listens with toolCalls answers its calls.

mutation Register($input: RegisterInput!) {
  register(input: $input) {
    created
    node { id name status expiresAt }
    warnings
  }
}
`,
    variables: `{
  "input": {
    "name": "greeter",
    "version": "1.0.0",
    "ttlSeconds": 600,
    "tools": [{
      "name": "greet",
      "description": "Says hello to somebody.",
      "inputSchema": {
        "type": "object",
        "properties": { "who": { "type": "string" } },
        "required": ["who"]
      }
    }]
  }
}`,
  },
  {
    query: `# What a call would do, without calling anybody: leave dryRun out to make it.

mutation Call($input: ProxyInvokeInput!) {
  proxyInvoke(input: $input) {
    status
    result
    error { code message details }
    durationMs
    plan { reason provider { name } candidates { node { name } eligible reason } }
  }
}
`,
    variables: `{
  "input": {
    "tool": "greet",
    "arguments": { "who": "you" },
    "dryRun": true
  }
}`,
  },
  {
    query: `# The registry as it was: every reading field answers from an earlier place, or from an instant.

query Earlier($sequence: Sequence) {
  at(sequence: $sequence) {
    sequence
    time
    registry { counts { nodes tools } }
    nodes(first: 5) { nodes { name status } }
  }
}
`,
    variables: '{\n  "sequence": 1\n}',
  },
];
