import { useState, type SubmitEvent } from 'react';
import { sessionStore } from '~/data/session';
import { Button } from '~/ui/Button';
import { CodeBlock } from '~/ui/Copy';
import { Dialog, DialogActions } from '~/ui/Dialog';
import { Field, Input } from '~/ui/Field';

/** Asks for a token when the registry wants one. */
export function TokenDialog({ reason }: { reason: string | null }) {
  const [token, setToken] = useState('');
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (!token.trim()) return;
    sessionStore.give(token.trim());
    setToken('');
  };
  return (
    <Dialog open={reason !== null} title="This registry asks who you are" description={reason}>
      <form onSubmit={submit}>
        <Field label="Token" hint="It is kept in this tab until the tab is closed, and sent to this registry alone.">
          {(control) => <Input {...control} type="password" name="token" value={token} placeholder="onex_…" onChange={(event) => setToken(event.target.value)} autoFocus />}
        </Field>
        <p className="muted" style={{ margin: '16px 0 8px' }}>
          Whoever administers the registry makes one that may look at everything:
        </p>
        <CodeBlock code="onex token create --name dashboard --role viewer --expires 90d" label="Command that makes a token" />
        <DialogActions>
          <Button type="submit" variant="primary" disabled={!token.trim()}>
            Use this token
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
