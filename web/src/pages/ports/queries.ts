import { graphql } from '~/gql';

export const LeaseFragment = graphql(`
  fragment Lease on PortLease {
    id
    port
    host
    protocol
    transports
    status
    requesterId
    allocatedBy
    processId
    purpose
    key
    topics
    probed
    allocatedAt
    ttlSeconds
    expiresAt
    graceUntil
    lastHeartbeatAt
    renewals
    endedAt
    endReason
    reboundFrom
    reboundTo
    node {
      id
      name
    }
  }
`);

export const LeasesDocument = graphql(`
  query Leases($after: String) {
    ports(first: 500, after: $after) {
      nodes {
        ...Lease
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export const EndedLeasesDocument = graphql(`
  query EndedLeases($status: LeaseStatus!) {
    ports(filter: { status: $status }, first: 500) {
      totalCount
      nodes {
        ...Lease
      }
    }
  }
`);

export const PoolsDocument = graphql(`
  query Pools {
    portPools {
      host
      transport
      from
      to
      size
      reserved
      reservedRanges {
        from
        to
      }
      allocated
      available
      quarantined
      quarantines {
        port
        until
        reason
      }
      granted
      refused
      conflicts
    }
  }
`);

export const NumberHistoryDocument = graphql(`
  query NumberHistory($port: Int!, $host: String!) {
    released: ports(filter: { port: $port, host: $host, status: RELEASED }, first: 10) {
      nodes {
        ...Lease
      }
    }
    expired: ports(filter: { port: $port, host: $host, status: EXPIRED }, first: 10) {
      nodes {
        ...Lease
      }
    }
    rebound: ports(filter: { port: $port, host: $host, status: REBOUND }, first: 10) {
      nodes {
        ...Lease
      }
    }
  }
`);

export const AllocatePortDocument = graphql(`
  mutation AllocatePort($input: AllocateInput!) {
    allocate(input: $input) {
      ...Lease
    }
  }
`);

export const AllocatePortsDocument = graphql(`
  mutation AllocatePorts($input: AllocateBatchInput!) {
    allocateBatch(input: $input) {
      ...Lease
    }
  }
`);

export const RenewLeaseDocument = graphql(`
  mutation RenewLease($id: UUID!, $ttlSeconds: Int) {
    renew(input: { leaseId: $id, ttlSeconds: $ttlSeconds }) {
      ...Lease
    }
  }
`);

export const ReleaseLeaseDocument = graphql(`
  mutation ReleaseLease($id: UUID!) {
    release(input: { leaseId: $id }) {
      ...Lease
    }
  }
`);
