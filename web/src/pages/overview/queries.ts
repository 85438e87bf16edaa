import { graphql } from '~/gql';

export const OverviewDocument = graphql(`
  query Overview {
    registry {
      version
      startedAt
      counts {
        nodes
        onlineNodes
        declaredNodes
        offlineNodes
        tools
        contracts
        topics
        activeLeases
      }
    }
    offline: nodes(filter: { status: OFFLINE }, first: 5) {
      nodes {
        id
        name
        lastSeenAt
      }
    }
    contractCollisions {
      subject
      name
      version
    }
    tools(first: 200) {
      nodes {
        id
        name
        version
        quarantine
        metrics {
          calls
          failures
        }
      }
    }
  }
`);

export const OverviewCallsDocument = graphql(`
  query OverviewCalls {
    invocations(first: 100) {
      nodes {
        id
        toolName
        toolVersion
        status
        requestedAt
        durationMs
        provider {
          id
          name
        }
        error {
          message
        }
      }
    }
  }
`);

export const OverviewPortsDocument = graphql(`
  query OverviewPorts {
    portPools {
      host
      transport
      from
      to
      size
      reserved
      allocated
      available
      quarantined
    }
    ports(filter: { status: ACTIVE }, first: 1) {
      totalCount
    }
  }
`);

export const OverviewBusesDocument = graphql(`
  query OverviewBuses {
    buses(first: 20) {
      nodes {
        id
        name
        kind
        status
        reason
        purpose
        metrics {
          published
          dropped
          subscriberCount
          messagesPerSecond
        }
      }
      totalCount
    }
  }
`);
