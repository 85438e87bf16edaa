import { NodeLink } from '~/components/Links';
import { callTone } from '~/components/statuses';
import { useSecond } from '~/lib/clock';
import { formatDuration, words } from '~/lib/format';
import { formatExact } from '~/lib/time';
import { Dot } from '~/ui/Badge';
import styles from './CallView.module.css';
import type { CallDetails } from './useFollowedCall';

/** Each provider's part as a bar on the call's own time. */
export function CallAttempts({ call }: { call: CallDetails }) {
  const second = useSecond();
  const start = Date.parse(call.requestedAt);
  const end = call.completedAt ? Date.parse(call.completedAt) : Math.max(start + 1, second * 1_000);
  const span = Math.max(1, end - start);
  const place = (instant: number) => Math.min(100, Math.max(0, ((instant - start) / span) * 100));
  // Where an attempt failed as the whole call did, it has been said once.
  const unsaid = (message: string | undefined) => (message === call.error?.message ? undefined : message);
  return (
    <ol className={styles.attempts}>
      {call.attempts.map((attempt) => {
        const from = Date.parse(attempt.startedAt);
        const to = attempt.endedAt ? Date.parse(attempt.endedAt) : end;
        return (
          <li key={attempt.number}>
            <span className="muted">{attempt.number}</span>
            <span className="truncate">{attempt.node ? <NodeLink id={attempt.node.id} name={attempt.node.name} /> : attempt.nodeId.slice(0, 8)}</span>
            <span className={styles.track} title={`From ${formatExact(attempt.startedAt)}`}>
              <span data-tone={callTone[attempt.outcome]} style={{ left: `${place(from)}%`, width: `${Math.max(1, place(to) - place(from))}%` }} />
            </span>
            <span className={styles.outcome}>
              <Dot tone={callTone[attempt.outcome]} /> {words(attempt.outcome)} {attempt.endedAt && formatDuration(to - from)}
            </span>
            {(attempt.lateAnswerAt ?? unsaid(attempt.error?.message)) && (
              <span className={styles.cause}>
                {unsaid(attempt.error?.message)}
                {attempt.lateAnswerAt && ' It answered after all, too late to count.'}
              </span>
            )}
          </li>
        );
      })}
    </ol>
  );
}
