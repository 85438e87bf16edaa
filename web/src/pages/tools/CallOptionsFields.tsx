import { ChevronRight } from 'lucide-react';
import { formatCount } from '~/lib/format';
import { Checkbox, Field, Input, Select } from '~/ui/Field';
import type { ToolDetails } from './CallPanel';
import styles from './CallPanel.module.css';
import { USUAL, type CallOptions } from './copyAs';
import type { CallDraft } from './useCallDraft';

const POLICIES = [
  { value: '', label: 'The first that offered it' },
  { value: 'ROUND_ROBIN', label: 'Each in turn' },
  { value: 'LEAST_LOADED', label: 'The least loaded' },
  { value: 'RANDOM', label: 'Any' },
  { value: 'ALL', label: 'All of them' },
];

/** What may be said besides the arguments. Closed until somebody wants it. */
export function CallOptionsFields({ tool, draft }: { tool: ToolDetails; draft: CallDraft }) {
  const { options, setOptions } = draft;
  const put = (part: Partial<CallOptions>) => setOptions({ ...options, ...part });
  const changed = Object.entries(options).filter(([name, value]) => value !== USUAL[name as keyof CallOptions]).length;
  return (
    <details className={styles.options}>
      <summary>
        <ChevronRight aria-hidden="true" />
        How it is called{changed > 0 ? `: ${formatCount(changed)} changed` : ''}
      </summary>
      <div className={styles.grid}>
        <div>
          <Field label="Of several providers">{(control) => <Select {...control} value={options.policy} onChange={(policy) => put({ policy })} options={POLICIES} />}</Field>
        </div>
        <div>
          <Field label="Provider">
            {(control) => (
              <Select
                {...control}
                value={options.nodeId}
                onChange={(nodeId) => put({ nodeId })}
                options={[{ value: '', label: 'Whoever is chosen' }, ...tool.providers.map(({ node }) => ({ value: node.id, label: node.name }))]}
              />
            )}
          </Field>
        </div>
        <div>
          <Field label="Time limit, ms">
            {(control) => <Input {...control} type="number" min={1} placeholder={tool.timeoutMs === null ? 'the registry’s' : String(tool.timeoutMs)} value={options.timeoutMs ?? ''} onChange={(event) => put({ timeoutMs: numberOf(event.target.value) })} />}
          </Field>
        </div>
        <div>
          <Field label="Other providers to try">
            {(control) => <Input {...control} type="number" min={0} placeholder="2" value={options.maxFailovers ?? ''} onChange={(event) => put({ maxFailovers: numberOf(event.target.value) })} />}
          </Field>
        </div>
        <div>
          <Field label="Idempotency key" hint="The same key is the same call.">
            {(control) => <Input {...control} maxLength={255} value={options.idempotencyKey} onChange={(event) => put({ idempotencyKey: event.target.value })} />}
          </Field>
        </div>
        <div>
          <Field label="Correlation id" hint="The undertaking that it belongs to.">
            {(control) => <Input {...control} value={options.correlationId} onChange={(event) => put({ correlationId: event.target.value })} />}
          </Field>
        </div>
        <div className={styles.checks}>
          <Checkbox label="Trusted providers only" checked={options.trustedOnly} onChange={(trustedOnly) => put({ trustedOnly })} />
          {!tool.idempotent && <Checkbox label="Calling twice does no harm" checked={options.idempotent} onChange={(idempotent) => put({ idempotent })} />}
        </div>
      </div>
    </details>
  );
}

function numberOf(text: string): number | null {
  const value = Number.parseInt(text, 10);
  return Number.isNaN(value) ? null : value;
}
