import { graphql } from '~/gql';

export const NodeRowFragment = graphql(`
  fragment NodeRow on Node {
    id
    name
    kind
    status
    version
    description
    tags
    registeredAt
    lastSeenAt
    ttlSeconds
    expiresAt
    trust {
      state
    }
    execution {
      count
      failureCount
    }
  }
`);

export const NodeRowsDocument = graphql(`
  query NodeRows($after: String) {
    nodes(first: 500, after: $after, orderBy: NAME) {
      nodes {
        ...NodeRow
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export const NodeDocument = graphql(`
  query Node($by: NodeBy!) {
    node(by: $by) {
      ...NodeRow
      versionHash
      namespace
      host
      executionMode
      metadata
      graceUntil
      publicKey
      ownedByAgent
      subscribedByAgents
      capabilities {
        supportsHotReload
        availableModels
        versionedTemplates {
          templateId
          hash
        }
        overrideFlags
      }
      trust {
        state
        score
        validated
        validatorIds
        failureModes
        lifecycle
      }
      contract {
        hash
        name
        version
        registeredAt
        inputs {
          name
          type
          required
          description
        }
        outputs {
          name
          type
          required
          description
        }
        publishes
        subscribes
        deadLetters
        errorCodes
        acceptsContext
        modifiesState
        sideEffects
        dependencies {
          name
          kind
          target
          required
          description
        }
        document
      }
      execution {
        count
        successCount
        failureCount
        successRate
        lastAt
        lastDurationMs
        p50DurationMs
        p99DurationMs
        lastInputs
        lastOutputs
      }
      tools(first: 100) {
        nodes {
          id
          name
          version
          description
          quarantine
          metrics {
            calls
            failures
            p50DurationMs
          }
        }
      }
      ports {
        id
        port
        host
        protocol
        status
        purpose
        expiresAt
      }
      inboundPorts {
        name
        protocol
        port
        topic
        busName
        bus {
          name
        }
        subscriberCount
        messagesPerSecond
        endpointUri
      }
      outboundPorts {
        name
        protocol
        port
        topic
        busName
        bus {
          name
        }
        subscriberCount
        messagesPerSecond
        endpointUri
      }
      upstream(depth: 1) {
        id
        name
        kind
        status
      }
      downstream(depth: 1) {
        id
        name
        kind
        status
      }
    }
  }
`);

export const NodeCallsDocument = graphql(`
  query NodeCalls($nodeId: UUID!) {
    invocations(filter: { nodeId: $nodeId }, first: 100) {
      nodes {
        id
        toolName
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
        attempts {
          number
        }
      }
    }
  }
`);

export const NodeChangesDocument = graphql(`
  query NodeChanges($nodeId: UUID!) {
    events(filter: { nodeId: $nodeId }, last: 200) {
      nodes {
        sequence
        type
        time
        actor
        correlationId
        nodeId
        metadata
      }
    }
  }
`);
