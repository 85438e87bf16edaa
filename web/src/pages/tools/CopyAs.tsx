import { useState } from 'react';
import { sessionStore } from '~/data/session';
import { Card } from '~/ui/Card';
import { CodeBlock } from '~/ui/Copy';
import { Tabs } from '~/ui/Tabs';
import { asCommand, asCurl, asGraphQL, type CallToCopy } from './copyAs';

/** The call as it stands in the form, to be made from elsewhere. */
export function CopyAs({ call }: { call: CallToCopy }) {
  const [shown, setShown] = useState('command');
  const { origin } = window.location;
  const withToken = sessionStore.get().token !== null;
  return (
    <Card title="Copy as">
      <Tabs
        label="Ways to make this call"
        value={shown}
        onChange={setShown}
        tabs={[
          { value: 'command', label: 'onex', content: <CodeBlock code={asCommand(call, origin)} label="The call as a command" /> },
          { value: 'curl', label: 'curl', content: <CodeBlock code={asCurl(call, `${origin}/graphql`, withToken)} label="The call as a curl command" /> },
          { value: 'graphql', label: 'GraphQL', content: <CodeBlock code={asGraphQL(call)} label="The call as a GraphQL operation" /> },
        ]}
      />
    </Card>
  );
}
