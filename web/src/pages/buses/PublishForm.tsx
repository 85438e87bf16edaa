import { Send } from 'lucide-react';
import { useState, type SubmitEvent } from 'react';
import { useQuery } from 'urql';
import { useAction } from '~/data/hooks';
import { plural } from '~/lib/format';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { DialogActions } from '~/ui/Dialog';
import { Field, Input, TextArea } from '~/ui/Field';
import { ErrorState } from '~/ui/States';
import { toast } from '~/ui/Toast';
import type { BusDetails } from './BusPage';
import { parseObject } from './parseObject';
import { PublishDocument, PublisherNamesDocument } from './queries';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Publishes an event by hand. What was written stays, so that the next one is a keystroke away. */
export function PublishForm({ bus, topics }: { bus: BusDetails; topics: readonly string[] }) {
  const [topic, setTopic] = useState('');
  const [eventType, setEventType] = useState('');
  const [node, setNode] = useState('');
  const [tags, setTags] = useState('');
  const [metadata, setMetadata] = useState('{}');
  const [problems, setProblems] = useState<{ node?: string; metadata?: string }>({});
  const publish = useAction(PublishDocument);
  const search = node.trim().length >= 2 && !UUID.test(node.trim()) ? node.trim() : null;
  const [names] = useQuery({ query: PublisherNamesDocument, variables: { search } });
  const found = names.data?.nodes.nodes ?? [];

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const nodeId = UUID.test(node.trim()) ? node.trim() : found.find((each) => each.name === node.trim())?.id;
    const parsed = parseObject(metadata, '{"total": 12.5}');
    const wrong = {
      ...(nodeId === undefined ? { node: 'No node has this name or id.' } : {}),
      ...(parsed.problem === null ? {} : { metadata: parsed.problem }),
    };
    setProblems(wrong);
    if (nodeId === undefined || parsed.problem !== null) return;
    const { data } = await publish.run({
      input: {
        bus: bus.name,
        topic: topic.trim() || null,
        event: { nodeId, eventType: eventType.trim(), tags: tags.split(',').map((tag) => tag.trim()).filter(Boolean), metadata: parsed.value },
      },
    });
    if (!data) return;
    const { matchedSubscribers, sequence } = data.publish;
    toast.done(`Published to ${data.publish.topic}`, `Place ${sequence}${matchedSubscribers === null ? '' : `, for ${plural(matchedSubscribers, 'subscriber')}`}.`);
  };

  return (
    <Card title="Publish">
      <form onSubmit={submit}>
        <Field label="Event type">
          {(control) => <Input {...control} value={eventType} placeholder="order.placed" required onChange={(event) => setEventType(event.target.value)} />}
        </Field>
        <Field label="Topic" hint="Left open: onex.events. and the type.">
          {(control) => <Input {...control} value={topic} list="publish-topics" placeholder="orders.placed" onChange={(event) => setTopic(event.target.value)} />}
        </Field>
        <Field label="Node" hint="Whose event it is: a name or an id." problem={problems.node}>
          {(control) => <Input {...control} value={node} list="publish-nodes" required onChange={(event) => setNode(event.target.value)} />}
        </Field>
        <Field label="Tags" hint="With commas between them.">
          {(control) => <Input {...control} value={tags} placeholder="web, eu" onChange={(event) => setTags(event.target.value)} />}
        </Field>
        <Field label="Metadata" hint="A JSON object." problem={problems.metadata}>
          {(control) => <TextArea {...control} value={metadata} rows={5} onChange={(event) => setMetadata(event.target.value)} />}
        </Field>
        <datalist id="publish-topics">
          {topics.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
        <datalist id="publish-nodes">
          {found.map((each) => (
            <option key={each.id} value={each.name} />
          ))}
        </datalist>
        {publish.fault && <div style={{ marginTop: 16 }}><ErrorState fault={publish.fault} /></div>}
        <DialogActions>
          <Button type="submit" variant="primary" icon={<Send aria-hidden="true" />} busy={publish.running} disabled={bus.status !== 'RUNNING'}>
            Publish
          </Button>
        </DialogActions>
      </form>
    </Card>
  );
}
