import { Square } from 'lucide-react';
import { useEffect, useState } from 'react';
import { ChangeList } from '~/components/ChangeList';
import { NodeLink } from '~/components/Links';
import { CallStatusOf } from '~/components/StatusOf';
import { faultFrom } from '~/data/errors';
import { useAction } from '~/data/hooks';
import { formatDuration, plural } from '~/lib/format';
import { Button } from '~/ui/Button';
import { Fact, Facts } from '~/ui/Card';
import { Id } from '~/ui/Copy';
import { Json, JsonLine } from '~/ui/Json';
import { ErrorState, Notice, SkeletonLines } from '~/ui/States';
import { Duration, Nothing, Time } from '~/ui/Time';
import { toast } from '~/ui/Toast';
import { CallAttempts } from './CallAttempts';
import styles from './CallView.module.css';
import { CancelCallDocument } from './queries';
import { isUnderWay, useFollowedCall, type CallDetails } from './useFollowedCall';

/** One call, live: how far it is, what it answered, and how it went. */
export function CallView({ id, known = null, onUse }: { id: string; known?: CallDetails | null; onUse?: (values: unknown) => void }) {
  const { call, fault } = useFollowedCall(id, known);
  if (!call) return fault ? <ErrorState fault={fault} /> : <SkeletonLines count={5} label="Loading the call" />;
  return (
    <div className={styles.view}>
      <Headline call={call} />
      {fault && <ErrorState fault={fault} />}
      {call.warnings.map((warning) => (
        <Notice key={warning} tone="warn">{warning}</Notice>
      ))}
      {call.error && call.status !== 'CANCELLED' && (
        <ErrorState fault={faultFrom({ message: call.error.message, extensions: { code: codeOf(call.error), retryable: call.error.retryable, details: call.error.details } })} />
      )}
      {call.result !== null && <Json value={call.result} label="Result" />}
      {call.status === 'SUCCEEDED' && call.result === null && <p className="muted">It answered null.</p>}
      {call.chunks.length > 0 && <Chunks chunks={call.chunks} open={isUnderWay(call.status)} />}
      {call.attempts.length > 0 && (
        <section className={styles.part}>
          <h3>Attempts</h3>
          <CallAttempts call={call} />
        </section>
      )}
      {call.events.length > 0 && (
        <section className={styles.part}>
          <h3>Events</h3>
          <div className={styles.events}>
            <ChangeList changes={call.events} label="Events of the call" />
          </div>
        </section>
      )}
      <details className={styles.more}>
        <summary>Arguments and ids</summary>
        <Json value={call.arguments} label="Arguments of the call" />
        {onUse && <Button size="small" onClick={() => onUse(call.arguments)}>Call again with these</Button>}
        <Particulars call={call} />
      </details>
    </div>
  );
}

/** A tool's own word for what went wrong says more than that it failed. */
function codeOf(error: NonNullable<CallDetails['error']>): string {
  return error.code === 'TOOL_FAILED' && error.type ? `${error.code}, ${error.type}` : error.code;
}

function Headline({ call }: { call: CallDetails }) {
  const underWay = isUnderWay(call.status);
  const cancel = useAction(CancelCallDocument);
  const stop = async () => {
    const { fault } = await cancel.run({ id: call.id });
    if (fault) toast.failed(fault);
  };
  return (
    <>
      <div className={styles.headline}>
        {/* Said once when it has changed, without the time that runs. */}
        <span role="status"><CallStatusOf status={call.status} /></span>
        <span>{underWay ? <Elapsed since={call.requestedAt} /> : <>in <Duration ms={call.durationMs} /></>}</span>
        {call.provider && <span className="muted">at <NodeLink id={call.provider.id} name={call.provider.name} /></span>}
        {underWay && (
          <Button size="small" variant="danger" className={styles.cancel} icon={<Square aria-hidden="true" />} busy={cancel.running} onClick={() => void stop()}>
            Cancel
          </Button>
        )}
      </div>
      {underWay && <TimeBar since={call.requestedAt} limitMs={call.timeoutMs} />}
    </>
  );
}

const TICK_MS = 100;

/** Milliseconds since an instant, again and again. */
function useElapsed(since: string): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return Math.max(0, now - Date.parse(since));
}

function Elapsed({ since }: { since: string }) {
  const ms = useElapsed(since);
  return <>{ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : formatDuration(ms)}</>;
}

function TimeBar({ since, limitMs }: { since: string; limitMs: number }) {
  const ms = useElapsed(since);
  return (
    <div className={styles.time} title={`Nobody waits longer than ${formatDuration(limitMs)}.`}>
      <span style={{ width: `${Math.min(100, (ms / limitMs) * 100)}%` }} />
    </div>
  );
}

const CHUNKS_SHOWN = 200;

function Chunks({ chunks, open }: { chunks: readonly unknown[]; open: boolean }) {
  const shown = chunks.slice(-CHUNKS_SHOWN);
  return (
    <details className={styles.more} open={open}>
      <summary>{plural(chunks.length, 'part')} of the answer before it ended</summary>
      <ol className={styles.chunks} tabIndex={0} aria-label="Parts of the answer">
        {shown.map((chunk, index) => (
          <li key={chunks.length - shown.length + index}><JsonLine value={chunk} /></li>
        ))}
      </ol>
    </details>
  );
}

function Particulars({ call }: { call: CallDetails }) {
  return (
    <Facts>
      <Fact name="Call"><Id id={call.id} part="all" /></Fact>
      <Fact name="Undertaking">{call.correlationId}</Fact>
      {call.idempotencyKey && <Fact name="Idempotency key">{call.idempotencyKey}</Fact>}
      <Fact name="Caller">{call.caller}</Fact>
      <Fact name="Asked for"><Time at={call.requestedAt} as="clock" /></Fact>
      <Fact name="Ended">{call.completedAt ? <Time at={call.completedAt} as="clock" /> : <Nothing />}</Fact>
      <Fact name="Time limit">{formatDuration(call.timeoutMs)}</Fact>
      {call.traceLogId && <Fact name="Provider’s trace">{call.traceLogId}</Fact>}
      {call.executionLogUrl && <Fact name="Provider’s log"><LogLink url={call.executionLogUrl} /></Fact>}
    </Facts>
  );
}

/** The address is the provider's word: only what is an address of the web becomes a link. */
function LogLink({ url }: { url: string }) {
  if (!/^https?:\/\//i.test(url)) return <>{url}</>;
  return <a href={url} target="_blank" rel="noreferrer noopener">{url}</a>;
}
