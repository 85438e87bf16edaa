import { useState, type SubmitEvent } from 'react';
import { useAction } from '~/data/hooks';
import type { SchemaMode } from '~/gql/enums';
import { formatCount, formatSeconds } from '~/lib/format';
import { Button } from '~/ui/Button';
import { Dialog, DialogActions } from '~/ui/Dialog';
import { Checkbox, Field, Input, Select, TextArea } from '~/ui/Field';
import { ErrorState } from '~/ui/States';
import { toast } from '~/ui/Toast';
import type { BusDetails } from './BusPage';
import styles from './DefineTopicDialog.module.css';
import { parseObject } from './parseObject';
import { DefineTopicDocument } from './queries';

const MODES: readonly { value: '' | SchemaMode; label: string }[] = [
  { value: '', label: 'As the bus has it' },
  { value: 'STRICT', label: 'Is refused' },
  { value: 'PERMISSIVE', label: 'Is delivered, and marked' },
];

const EXAMPLE = `{
  "properties": {
    "metadata": {
      "type": "object",
      "required": ["total"],
      "properties": { "total": { "type": "number" } }
    }
  }
}`;

/** Says what the events of a topic have to look like, and how long they are kept. What it said before is replaced. */
export function DefineTopicDialog({ bus, topic, schema, onClose }: { bus: BusDetails; topic: string; schema: unknown; onClose: () => void }) {
  const [name, setName] = useState(topic);
  const [text, setText] = useState(() => (schema === null || schema === undefined ? '' : JSON.stringify(schema, null, 2)));
  const [mode, setMode] = useState('');
  const [trustedOnly, setTrustedOnly] = useState(bus.trustedOnly);
  const [historyEvents, setHistoryEvents] = useState('');
  const [historySeconds, setHistorySeconds] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const define = useAction(DefineTopicDocument);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const parsed = parseObject(text, '{"type": "object"}');
    setProblem(parsed.problem);
    if (parsed.problem !== null) return;
    const { data } = await define.run({
      input: {
        bus: bus.name,
        topic: name.trim(),
        trustedOnly,
        ...(parsed.value === null ? {} : { schema: parsed.value }),
        ...(mode === '' ? {} : { mode: mode as SchemaMode }),
        ...(historyEvents === '' ? {} : { historyEvents: Number(historyEvents) }),
        ...(historySeconds === '' ? {} : { historySeconds: Number(historySeconds) }),
      },
    });
    if (!data) return;
    toast.done(`The topic ${data.defineTopic.name} is defined`, parsed.value === null ? 'Whatever is an event fits.' : 'Events are checked from now on.');
    onClose();
  };

  return (
    <Dialog open onClose={onClose} title={topic ? `Define ${topic}` : 'Define a topic'} description="What is left open is as the bus has it. What was said of the topic before is replaced.">
      <form onSubmit={submit}>
        <div className={styles.fields}>
          <div className={styles.wide}>
            <Field label="Topic" hint="Without wildcards.">
              {(control) => <Input {...control} value={name} placeholder="orders.placed" required onChange={(event) => setName(event.target.value)} />}
            </Field>
          </div>
          <div className={styles.wide}>
            <Field label="JSON Schema" hint="Of the whole event: its own members are in metadata. Left open, whatever is an event fits." problem={problem}>
              {(control) => <TextArea {...control} rows={9} value={text} placeholder={EXAMPLE} onChange={(event) => setText(event.target.value)} />}
            </Field>
            {text.trim() === '' && (
              <Button size="small" variant="quiet" className={styles.example} onClick={() => setText(EXAMPLE)}>
                Begin with an example
              </Button>
            )}
          </div>
          <div className={styles.wide}>
            <Field label="What does not fit">{(control) => <Select {...control} value={mode} onChange={setMode} options={MODES} />}</Field>
          </div>
          <div>
            <Field label="Events kept for replay">
              {(control) => <Input {...control} type="number" min={0} max={10_000_000} placeholder={formatCount(bus.policy.historyEvents)} value={historyEvents} onChange={(event) => setHistoryEvents(event.target.value)} />}
            </Field>
          </div>
          <div>
            <Field label="Kept for, seconds" hint={`The bus keeps them for ${formatSeconds(bus.policy.historySeconds)}.`}>
              {(control) => <Input {...control} type="number" min={1} placeholder={String(bus.policy.historySeconds)} value={historySeconds} onChange={(event) => setHistorySeconds(event.target.value)} />}
            </Field>
          </div>
          <div className={styles.wide}>
            <Checkbox label="Only events of trusted nodes are delivered" checked={trustedOnly} onChange={setTrustedOnly} />
          </div>
        </div>
        {define.fault && <ErrorState fault={define.fault} />}
        <DialogActions>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" busy={define.running} disabled={!name.trim()}>
            Define
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
