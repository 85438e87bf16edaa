import { useState } from 'react';
import { useAction } from '~/data/hooks';
import { plural, titled } from '~/lib/format';
import { Button } from '~/ui/Button';
import { Checkbox, Field, Input, Select } from '~/ui/Field';
import { Dialog, DialogActions } from '~/ui/Dialog';
import { ErrorState } from '~/ui/States';
import { toast } from '~/ui/Toast';
import { countOf, NO_WISH, PROTOCOLS, requestsOf, type Wish } from './allocation';
import styles from './AllocateDialog.module.css';
import { AllocatePortDocument, AllocatePortsDocument } from './queries';
import { requesterId } from './requester';

const SPELLED: Record<string, string> = { HTTP: 'HTTP', GRPC: 'gRPC', ZMQ: 'ZeroMQ', JETSTREAM: 'JetStream', WEBSOCKET: 'Websocket', TCP: 'TCP', UDP: 'UDP' };
const LIFETIMES = [
  { value: '', label: 'As configured' },
  { value: '600', label: '10 minutes' },
  { value: '3600', label: '1 hour' },
  { value: '86400', label: '1 day' },
  { value: '604800', label: '1 week' },
  { value: '2592000', label: '30 days' },
];

/** Leases a port, or several. */
export function AllocateDialog({ start, onClose, onDone }: { start: Partial<Wish>; onClose: () => void; onDone: (port: number, host: string) => void }) {
  const [wish, setWish] = useState<Wish>({ ...NO_WISH, ...start });
  const put = (part: Partial<Wish>) => setWish((current) => ({ ...current, ...part }));
  const one = useAction(AllocatePortDocument);
  const several = useAction(AllocatePortsDocument);
  const count = countOf(wish);
  const fault = one.fault ?? several.fault;

  const allocate = async () => {
    one.clear();
    several.clear();
    const requests = requestsOf(wish, requesterId());
    const [request] = requests;
    if (!request) return;
    const result = count === 1 ? await one.run({ input: request }) : await several.run({ input: { requests, contiguous: wish.contiguous } });
    if (result.fault) return;
    const leases = 'allocate' in result.data ? [result.data.allocate] : result.data.allocateBatch;
    const [first] = leases;
    if (!first) return;
    toast.done(leases.length === 1 ? `Port ${first.port} is leased` : `${plural(leases.length, 'port')} are leased`, leases.length === 1 ? first.purpose : leases.map((lease) => lease.port).join(', '));
    onDone(first.port, first.host);
  };

  return (
    <Dialog open onClose={onClose} title="Allocate a port" description="The number is nobody else’s until the lease ends. The answer comes when it is on disk.">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void allocate();
        }}
      >
        <div className={styles.fields}>
          <div className={styles.wide}>
            <Field label="Purpose" hint="What others are told who ask for the number.">
              {(control) => <Input {...control} maxLength={1_024} value={wish.purpose} onChange={(event) => put({ purpose: event.target.value })} />}
            </Field>
          </div>
          <div>
            <Field label="Protocol">
              {(control) => <Select {...control} value={wish.protocol} onChange={(protocol) => put({ protocol: protocol as Wish['protocol'] })} options={PROTOCOLS.map((value) => ({ value, label: SPELLED[value] ?? titled(value) }))} />}
            </Field>
          </div>
          <div>
            <Field label="Holds for" hint="Unless it is renewed.">
              {(control) => <Select {...control} value={wish.ttlSeconds} onChange={(ttlSeconds) => put({ ttlSeconds })} options={LIFETIMES} />}
            </Field>
          </div>
          <div>
            <Field label="Number" hint="Any that is free, when left out.">
              {(control) => <Input {...control} type="number" min={1} max={65_535} value={wish.number} onChange={(event) => put({ number: event.target.value })} />}
            </Field>
          </div>
          <div>
            <Field label="How many">
              {(control) => <Input {...control} type="number" min={1} max={100} value={wish.count} onChange={(event) => put({ count: event.target.value })} />}
            </Field>
          </div>
          <div>
            <Field label="Key" hint="Asking again with it gives the same number.">
              {(control) => <Input {...control} value={wish.key} onChange={(event) => put({ key: event.target.value })} />}
            </Field>
          </div>
          <div>
            <Field label="Host" hint="The registry’s own, when left out.">
              {(control) => <Input {...control} value={wish.host} onChange={(event) => put({ host: event.target.value })} />}
            </Field>
          </div>
          <div className={styles.wide}>
            <Checkbox label="That number or none" checked={wish.insist} disabled={wish.number === ''} onChange={(insist) => put({ insist })} />
            <Checkbox label="For TCP and UDP alike" checked={wish.bothTransports} onChange={(bothTransports) => put({ bothTransports })} />
            <Checkbox label="In a row" checked={wish.contiguous} disabled={count === 1} onChange={(contiguous) => put({ contiguous })} />
          </div>
        </div>
        {fault && <ErrorState fault={fault} />}
        <DialogActions>
          <Button onClick={onClose}>Close</Button>
          <Button type="submit" variant="primary" busy={one.running || several.running}>
            {count === 1 ? 'Allocate' : `Allocate ${count}`}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
