import { graphql } from '~/gql';

export const GraphPictureDocument = graphql(`
  query GraphPicture($root: NodeBy, $direction: GraphDirection!, $depth: Int) {
    dependencyGraph(root: $root, direction: $direction, depth: $depth, observed: true) {
      nodes {
        id
        name
        missing
        depth
        node {
          id
          kind
          status
          version
          description
        }
      }
      edges {
        from
        to
        kind
        via
        origin
      }
      cycles
    }
  }
`);

/** All that a node feeds, directly or by way of others. */
export const ImpactDocument = graphql(`
  query Impact($root: NodeBy!) {
    dependencyGraph(root: $root, direction: DOWNSTREAM) {
      nodes {
        id
        name
        missing
        depth
        node {
          id
          status
        }
      }
    }
  }
`);
