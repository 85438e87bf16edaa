import type { Fetcher } from '@graphiql/toolkit';
import { type DocumentNode, Kind, parse } from 'graphql';

/**
 * Has what is sent agree with itself. GraphiQL looks at its editor a tenth of a second after it was changed: who opens
 * another tab and runs it at once would have its text sent with the operation's name of the tab before, and a subscription
 * by HTTP. So the name and the way are taken from the text.
 */
export function consistent(fetcher: Fetcher): Fetcher {
  return (params, options) => {
    const documentAST = parsed(params.query);
    if (!documentAST) return fetcher(params, options);
    const operations = documentAST.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
    const names = operations.map((operation) => operation.name?.value);
    const operationName = names.find((name) => name === params.operationName) ?? names[0] ?? null;
    return fetcher({ ...params, operationName }, { ...options, documentAST });
  };
}

/** What is no GraphQL is sent as it is: the registry says what is wrong with it. */
function parsed(query: string): DocumentNode | undefined {
  try {
    return parse(query);
  } catch {
    return undefined;
  }
}
