import { Braces, CircleDashed, FlaskConical, Play } from 'lucide-react';
import { lazy, Suspense, useEffect, useRef, useState } from 'react';
import type { ToolQuery } from '~/gql/graphql';
import { classes } from '~/lib/classes';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { TextArea } from '~/ui/Field';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { CallOptionsFields } from './CallOptionsFields';
import styles from './CallPanel.module.css';
import { CallPlan } from './CallPlan';
import { CallView } from './CallView';
import { CopyAs } from './CopyAs';
import { hasForm } from './form/prepare';
import type { CallDraft } from './useCallDraft';

export type ToolDetails = NonNullable<ToolQuery['tool']>;

// The form's library is needed here alone.
const ArgumentsForm = lazy(() => import('./form/ArgumentsForm'));

/** Calls the tool: its arguments on one side, what comes of it on the other. */
export function CallPanel({ tool, manyVersions, draft }: { tool: ToolDetails; manyVersions: boolean; draft: CallDraft }) {
  const formPossible = hasForm(tool.inputSchema);
  const mode = formPossible ? draft.mode : 'json';
  const buttons = (
    <Actions busy={draft.running} onDryRun={mode === 'form' ? () => void draft.call(draft.values, true) : undefined} />
  );
  const answer = useRef<HTMLDivElement>(null);
  const asked = draft.begun ?? draft.fault;
  useEffect(() => {
    // On a narrow screen the answer comes below the form.
    if (asked && (answer.current?.getBoundingClientRect().top ?? 0) > window.innerHeight - 120) answer.current?.scrollIntoView({ block: 'start' });
  }, [asked]);
  return (
    <div className={styles.panel}>
      <div className={styles.column}>
        <Card
          title="Arguments"
          actions={
            formPossible && (
              <Button size="small" variant="quiet" icon={<Braces aria-hidden="true" />} aria-pressed={mode === 'json'} onClick={() => draft.setMode(mode === 'json' ? 'form' : 'json')}>
                {mode === 'json' ? 'Fill in a form' : 'Write JSON'}
              </Button>
            )
          }
        >
          {mode === 'form' ? (
            <Suspense fallback={<SkeletonLines count={4} label="Loading the form" />}>
              <ArgumentsForm schema={tool.inputSchema} value={draft.values} onChange={draft.setValues} onSubmit={(values) => void draft.call(values, false)}>
                <CallOptionsFields tool={tool} draft={draft} />
                {buttons}
              </ArgumentsForm>
            </Suspense>
          ) : (
            <JsonArguments tool={tool} draft={draft} />
          )}
        </Card>
        <CopyAs call={{ tool: tool.name, version: manyVersions ? tool.version : null, arguments: draft.values, options: draft.options }} />
      </div>
      <div ref={answer} className={classes(styles.column, styles.answer)}>
        {draft.fault && <ErrorState fault={draft.fault} />}
        <Card title={draft.begun?.dryRun ? 'What would happen' : 'Answer'}>
          {draft.begun === null && (
            <EmptyState icon={<CircleDashed />} title="Nothing was called yet">
              Call it, and what comes of it shows here: the answer, how long it took, and who gave it. A dry run says who would get the call, and sends nothing.
            </EmptyState>
          )}
          {draft.begun?.dryRun && <CallPlan call={draft.begun} />}
          {draft.begun?.dryRun === false && <CallView key={draft.begun.id} id={draft.begun.id} known={draft.begun} />}
        </Card>
      </div>
    </div>
  );
}

function Actions({ busy, onDryRun, disabled }: { busy: boolean; onDryRun?: () => void; disabled?: boolean }) {
  return (
    <div className={styles.actions}>
      <Button type="submit" variant="primary" icon={<Play aria-hidden="true" />} busy={busy} disabled={disabled}>
        Call
      </Button>
      <Button icon={<FlaskConical aria-hidden="true" />} disabled={busy || disabled} onClick={onDryRun}>
        Dry run
      </Button>
    </div>
  );
}

/** Where the tool says nothing of its arguments, or somebody would rather write them. */
function JsonArguments({ tool, draft }: { tool: ToolDetails; draft: CallDraft }) {
  const [text, setText] = useState(() => JSON.stringify(draft.values, null, 2));
  const [problem, setProblem] = useState<string | null>(null);
  const put = (next: string) => {
    setText(next);
    try {
      draft.setValues(JSON.parse(next) as CallDraft['values']);
      setProblem(null);
    } catch (cause) {
      setProblem(cause instanceof Error ? cause.message : 'This is not JSON.');
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!problem) void draft.call(draft.values, false);
      }}
    >
      <TextArea aria-label="Arguments as JSON" rows={10} value={text} aria-invalid={problem ? true : undefined} aria-describedby="arguments-problem" onChange={(event) => put(event.target.value)} />
      <p id="arguments-problem" className={problem ? styles.problem : 'muted'} role="status">
        {problem ?? (tool.inputSchema === null ? 'The tool does not say what it takes: whatever stands here is sent.' : 'JSON. It is checked against the tool’s schema before it is sent.')}
      </p>
      <CallOptionsFields tool={tool} draft={draft} />
      <Actions busy={draft.running} disabled={problem !== null} onDryRun={() => void draft.call(draft.values, true)} />
    </form>
  );
}
