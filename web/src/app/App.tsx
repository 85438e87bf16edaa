import { Provider } from 'urql';
import { useSyncExternalStore } from 'react';
import type { ConnectionStore } from '~/data/connection';
import { ConnectionContext } from '~/data/hooks';
import { sessionStore } from '~/data/session';
import { Toasts } from '~/ui/Toast';
import { Shell } from './Shell';
import { TokenDialog } from './TokenDialog';

export function App({ connections }: { connections: ConnectionStore }) {
  const session = useSyncExternalStore(sessionStore.subscribe, sessionStore.get);
  const connection = useSyncExternalStore(connections.subscribe, connections.get);
  return (
    <>
      <ConnectionContext value={connection}>
        <Provider value={connection.client}>
          {/* Another token is another principal: everything is made anew, and nothing of the earlier one stays in view. */}
          <Shell key={session.version} />
        </Provider>
      </ConnectionContext>
      <TokenDialog reason={session.wanted} />
      <Toasts />
    </>
  );
}
