import type { Client, OperationResult } from '@urql/core';
import { graphql } from '~/gql';
import type { StartQuery } from '~/gql/graphql';

const StartDocument = graphql(`
  query Start {
    registry {
      sequence
    }
    events(last: 30) {
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

export type StartResult = OperationResult<StartQuery>;

/** Where in the log the registry is, and what came last. */
export function askStart(client: Client): Promise<StartResult> {
  return client.query(StartDocument, {}).toPromise();
}
