import { useState, type SubmitEvent } from 'react';
import { useLocation } from 'wouter';
import { useAction } from '~/data/hooks';
import type { BusKind } from '~/gql/enums';
import { paths } from '~/lib/paths';
import { Button } from '~/ui/Button';
import { Dialog, DialogActions } from '~/ui/Dialog';
import { Checkbox, Field, Input, Select } from '~/ui/Field';
import { ErrorState } from '~/ui/States';
import { toast } from '~/ui/Toast';
import { CreateBusDocument } from './queries';

const KINDS: readonly { value: BusKind; label: string; endpoint: string | null }[] = [
  { value: 'LOCAL', label: 'Local: in the registry itself', endpoint: null },
  { value: 'JETSTREAM', label: 'JetStream: a stream of NATS', endpoint: 'nats://127.0.0.1:4222' },
  { value: 'REDIS', label: 'Redis: streams', endpoint: 'redis://127.0.0.1:6379/0' },
  { value: 'ZMQ', label: 'ZeroMQ over TCP', endpoint: null },
  { value: 'IPC', label: 'ZeroMQ over unix sockets', endpoint: null },
];

export function CreateBusDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [kind, setKind] = useState<BusKind>('LOCAL');
  const [endpointUri, setEndpointUri] = useState('');
  const [purpose, setPurpose] = useState('');
  const [contractSchemas, setContractSchemas] = useState(false);
  const create = useAction(CreateBusDocument);
  const [, navigate] = useLocation();
  const endpoint = KINDS.find((each) => each.value === kind)?.endpoint ?? null;

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const { data } = await create.run({
      input: { name: name.trim(), kind, purpose: purpose.trim() || null, contractSchemas, endpointUri: endpoint === null ? null : endpointUri.trim() || null },
    });
    if (!data) return;
    toast.done(`The bus ${data.createBus.name} is there`);
    onClose();
    navigate(paths.bus(data.createBus.name));
  };

  return (
    <Dialog open onClose={onClose} title="Create a bus">
      <form onSubmit={submit}>
        <Field label="Name" hint="Unique in this registry.">
          {(control) => <Input {...control} value={name} onChange={(event) => setName(event.target.value)} required autoFocus />}
        </Field>
        <Field label="What carries it">
          {(control) => <Select {...control} value={kind} onChange={(value) => setKind(KINDS.find((each) => each.value === value)?.value ?? 'LOCAL')} options={KINDS} />}
        </Field>
        {endpoint !== null && (
          <Field label="Where the broker is">
            {(control) => <Input {...control} value={endpointUri} placeholder={endpoint} onChange={(event) => setEndpointUri(event.target.value)} required />}
          </Field>
        )}
        <Field label="Purpose" hint="What it is for, in words.">
          {(control) => <Input {...control} value={purpose} onChange={(event) => setPurpose(event.target.value)} />}
        </Field>
        <div style={{ marginTop: 12 }}>
          <Checkbox label="Topics take their schemas from contracts" checked={contractSchemas} onChange={setContractSchemas} />
        </div>
        {create.fault && <div style={{ marginTop: 16 }}><ErrorState fault={create.fault} /></div>}
        <DialogActions>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" busy={create.running} disabled={!name.trim()}>
            Create
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
