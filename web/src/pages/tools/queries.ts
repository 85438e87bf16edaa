import { graphql } from '~/gql';

export const ToolRowFragment = graphql(`
  fragment ToolRow on Tool {
    id
    name
    version
    description
    tags
    quarantine
    metrics {
      calls
      failures
      timeouts
      p50DurationMs
      p99DurationMs
    }
    providers {
      healthy
      node {
        id
        name
        status
        trust {
          state
        }
      }
    }
  }
`);

export const ToolRowsDocument = graphql(`
  query ToolRows($filter: ToolFilter, $after: String) {
    tools(filter: $filter, first: 500, after: $after) {
      nodes {
        ...ToolRow
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export const ToolDocument = graphql(`
  query Tool($name: String!, $version: String) {
    tool(name: $name, version: $version) {
      id
      name
      version
      description
      tags
      inputSchema
      outputSchema
      errorCodes
      timeoutMs
      idempotent
      quarantine
      metrics {
        calls
        failures
        timeouts
        p50DurationMs
        p99DurationMs
      }
      contract {
        hash
        name
        version
      }
      providers {
        transport
        endpoint
        registeredAt
        expiresAt
        maxInFlight
        inFlight
        load
        connected
        healthy
        quarantine
        circuit {
          state
          failures
          openedAt
          retryAt
          cause
        }
        node {
          id
          name
          status
          version
          trust {
            state
          }
        }
      }
    }
    versions: tools(filter: { namePattern: $name }, first: 500) {
      nodes {
        id
        name
        version
        providers {
          healthy
        }
      }
    }
  }
`);

export const ToolCallsDocument = graphql(`
  query ToolCalls($filter: InvocationFilter!) {
    invocations(filter: $filter, first: 200) {
      totalCount
      nodes {
        id
        toolVersion
        status
        caller
        requestedAt
        durationMs
        arguments
        result
        error {
          code
          message
        }
        provider {
          id
          name
        }
        attempts {
          number
        }
      }
    }
  }
`);

export const CallDetailsFragment = graphql(`
  fragment CallDetails on Invocation {
    id
    toolName
    toolVersion
    status
    caller
    correlationId
    idempotencyKey
    arguments
    result
    chunks
    warnings
    requestedAt
    completedAt
    durationMs
    timeoutMs
    deadline
    traceLogId
    executionLogUrl
    provider {
      id
      name
    }
    error {
      code
      type
      message
      details
      retryable
    }
    attempts {
      number
      nodeId
      node {
        id
        name
      }
      startedAt
      endedAt
      outcome
      lateAnswerAt
      error {
        code
        type
        message
      }
    }
    events {
      sequence
      type
      time
      actor
      correlationId
      nodeId
      metadata
    }
  }
`);

export const CallUpdatesDocument = graphql(`
  subscription CallUpdates($id: UUID!) {
    invocationUpdates(id: $id) {
      ...CallDetails
    }
  }
`);

export const BeginCallDocument = graphql(`
  mutation BeginCall($input: ProxyInvokeInput!) {
    proxyInvoke(input: $input) {
      ...CallDetails
      dryRun
      plan {
        transport
        endpoint
        reason
        timeoutMs
        arguments
        provider {
          id
          name
        }
        candidates {
          eligible
          reason
          inFlight
          node {
            id
            name
          }
        }
      }
    }
  }
`);

export const CancelCallDocument = graphql(`
  mutation CancelCall($id: UUID!) {
    cancelInvocation(input: { invocationId: $id }) {
      id
      status
    }
  }
`);
