import { graphql } from '~/gql';

export const LogPageDocument = graphql(`
  query LogPage($filter: EventFilter, $first: Int, $after: String, $last: Int, $before: String) {
    events(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
      edges {
        cursor
        node {
          sequence
          type
          time
          actor
          correlationId
          nodeId
          metadata
        }
      }
      pageInfo {
        hasPreviousPage
        hasNextPage
        startCursor
        endCursor
      }
    }
  }
`);

/** Where in time a place in the log is. */
export const InstantDocument = graphql(`
  query Instant($sequence: Sequence!) {
    at(sequence: $sequence) {
      time
    }
  }
`);

export const NodeByNameDocument = graphql(`
  query NodeByName($name: String!) {
    node(by: { name: $name }) {
      id
    }
  }
`);

/** The first change that is kept. */
export const FirstChangeDocument = graphql(`
  query FirstChange($filter: EventFilter) {
    events(filter: $filter, first: 1) {
      nodes {
        sequence
        time
      }
    }
  }
`);

export const BetweenDocument = graphql(`
  query Between($since: DateTime!, $until: DateTime!) {
    events(filter: { since: $since, until: $until }, last: 500) {
      totalCount
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

/** A page of each list, as far as there is more of it. */
export const SnapshotDocument = graphql(`
  query Snapshot(
    $sequence: Sequence
    $time: DateTime
    $moreNodes: Boolean!
    $nodesAfter: String
    $moreTools: Boolean!
    $toolsAfter: String
    $moreLeases: Boolean!
    $leasesAfter: String
    $moreBuses: Boolean!
    $busesAfter: String
  ) {
    at(sequence: $sequence, time: $time) {
      sequence
      time
      registry {
        counts {
          nodes
          onlineNodes
          declaredNodes
          offlineNodes
          tools
          contracts
          topics
          activeLeases
          buses
        }
      }
      nodes(first: 500, after: $nodesAfter) @include(if: $moreNodes) {
        nodes {
          id
          name
          kind
          status
          version
          versionHash
          host
          description
          tags
          trust {
            state
          }
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
      tools(first: 500, after: $toolsAfter) @include(if: $moreTools) {
        nodes {
          id
          name
          version
          description
          quarantine
          providers {
            node {
              id
              name
            }
          }
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
      ports(first: 500, after: $leasesAfter) @include(if: $moreLeases) {
        nodes {
          id
          port
          host
          protocol
          status
          purpose
          allocatedBy
          node {
            id
            name
          }
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
      buses(first: 500, after: $busesAfter) @include(if: $moreBuses) {
        nodes {
          id
          name
          kind
          status
          purpose
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  }
`);

export const OldestDocument = graphql(`
  query OldestPlace {
    registry {
      oldestSequence
    }
  }
`);
