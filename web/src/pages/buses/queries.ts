import { graphql } from '~/gql';

export const BusesDocument = graphql(`
  query Buses {
    buses(first: 200) {
      nodes {
        id
        name
        kind
        status
        reason
        purpose
        createdAt
        topics {
          name
        }
        metrics {
          published
          delivered
          dropped
          invalid
          subscriberCount
          messagesPerSecond
          p99LatencyMs
        }
      }
    }
  }
`);

export const BusDocument = graphql(`
  query Bus($name: String!) {
    bus(by: { name: $name }) {
      id
      name
      kind
      status
      reason
      endpointUri
      purpose
      metadata
      schemaMode
      trustedOnly
      contractSchemas
      createdAt
      startedAt
      portLeases {
        id
        port
      }
      kept {
        events
        bytes
        first
        last
      }
      metrics {
        published
        delivered
        dropped
        invalid
        retried
        bytes
        subscriberCount
        messagesPerSecond
        p50LatencyMs
        p99LatencyMs
      }
      policy {
        queueCapacity
        overflow
        historyEvents
        historySeconds
        maxDeliveries
        retryBackoffMs
        queuesWhileAway
      }
      topics {
        name
        schema
        schemaNode {
          id
          name
        }
        publishers {
          id
          name
        }
        declaredSubscribers {
          id
          name
        }
        subscribers {
          id
        }
        metrics {
          published
          dropped
          invalid
          messagesPerSecond
        }
      }
      subscribers {
        id
        name
        topics
        durability
        queued
        lag
        dropped
        messagesPerSecond
        connected
        lastSeenAt
        trustedOnly
        node {
          id
          name
        }
      }
    }
  }
`);

export const BusEventsDocument = graphql(`
  subscription BusEvents($bus: String!, $topics: [String!], $where: BusEventFilter, $replay: ReplayInput) {
    busEvents(bus: $bus, topics: $topics, where: $where, replay: $replay, queueCapacity: 10000) {
      topic
      sequence
      missed
      redelivery
      misfit
      event {
        eventId
        nodeId
        eventType
        timestamp
        correlationId
        tags
        metadata
      }
    }
  }
`);

export const CreateBusDocument = graphql(`
  mutation CreateBus($input: CreateBusInput!) {
    createBus(input: $input) {
      id
      name
    }
  }
`);

export const StartBusDocument = graphql(`
  mutation StartBus($busId: UUID!) {
    startBus(input: { busId: $busId }) {
      id
      status
    }
  }
`);

export const StopBusDocument = graphql(`
  mutation StopBus($busId: UUID!) {
    stopBus(input: { busId: $busId }) {
      id
      status
    }
  }
`);

export const DeleteBusDocument = graphql(`
  mutation DeleteBus($busId: UUID!) {
    deleteBus(input: { busId: $busId }) {
      id
    }
  }
`);

export const DeleteSubscriberDocument = graphql(`
  mutation DeleteSubscriber($input: SubscriberRefInput!) {
    deleteSubscriber(input: $input) {
      id
    }
  }
`);

export const PublishDocument = graphql(`
  mutation Publish($input: PublishInput!) {
    publish(input: $input) {
      topic
      sequence
      matchedSubscribers
    }
  }
`);

export const PublisherNamesDocument = graphql(`
  query PublisherNames($search: String) {
    nodes(filter: { search: $search }, first: 20) {
      nodes {
        id
        name
      }
    }
  }
`);

export const BusChangesDocument = graphql(`
  query BusChanges($busId: UUID!) {
    events(filter: { busId: $busId }, last: 100) {
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

export const DefineTopicDocument = graphql(`
  mutation DefineTopic($input: DefineTopicInput!) {
    defineTopic(input: $input) {
      name
    }
  }
`);
