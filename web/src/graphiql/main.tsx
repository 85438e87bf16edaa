import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import '@graphiql/plugin-explorer/style.css';
import './graphiql.css';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import { sessionStore } from '~/data/session';
import { EditorColours } from './EditorColours';
import { examples } from './examples';
import { consistent } from './fetcher';
import { mendTabs } from './tabs';

const endpoint = new URL('/graphql', window.location.href);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol === 'https:' ? 'wss:' : 'ws:';

/** Headers of the editor go with the first message of a websocket as well: a token counts for subscriptions, too. */
const fetcher = consistent(createGraphiQLFetcher({ url: endpoint.href, subscriptionUrl: socket.href }));

/** The token that the dashboard was given in this tab, so that it need not be typed twice. */
const { token } = sessionStore.get();
const headers = token === null ? undefined : JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2);
const theme = document.documentElement.dataset['theme'];

const root = document.getElementById('root');
if (!root) throw new Error('graphiql.html has no #root');
mendTabs(root);
createRoot(root).render(
  <main>
    <h1 className="visually-hidden">GraphiQL</h1>
    <GraphiQL
      fetcher={fetcher}
      plugins={[explorerPlugin()]}
      defaultTabs={examples.map((example) => ({ ...example, headers: headers ?? example.headers }))}
      defaultHeaders={headers}
      initialHeaders={headers}
      defaultTheme={theme === 'light' || theme === 'dark' ? theme : null}
      defaultEditorToolsVisibility="variables"
      showPersistHeadersSettings
    >
      <GraphiQL.Logo>
        <EditorColours />
        <a href="/" title="The dashboard">
          onex
        </a>
      </GraphiQL.Logo>
    </GraphiQL>
  </main>,
);
