import { NodeLink } from '~/components/Links';
import { faultFrom } from '~/data/errors';
import { formatCount, formatDuration } from '~/lib/format';
import { Status } from '~/ui/Badge';
import { Fact, Facts } from '~/ui/Card';
import { Json } from '~/ui/Json';
import { ErrorState } from '~/ui/States';
import styles from './CallView.module.css';
import { transportWords } from './transports';
import type { BegunCall } from './useCallDraft';

/** What a dry run says: who would get the call, why, and what would be sent. */
export function CallPlan({ call }: { call: BegunCall }) {
  const { plan, error } = call;
  return (
    <div className={styles.view}>
      {error && <ErrorState fault={{ ...faultFrom({ message: error.message, extensions: { code: error.code, retryable: error.retryable, details: error.details } }) }} />}
      {plan && (
        <>
          <p className={styles.headline}>
            {plan.provider ? (
              <>
                <NodeLink id={plan.provider.id} name={plan.provider.name} /> would get the call
              </>
            ) : (
              'Nobody would get the call'
            )}
          </p>
          <Facts>
            <Fact name="Because">{plan.reason}</Fact>
            {plan.transport && <Fact name="By">{transportWords[plan.transport]}{plan.endpoint ? `, ${plan.endpoint}` : ''}</Fact>}
            <Fact name="Time limit">{formatDuration(plan.timeoutMs)}</Fact>
          </Facts>
          <section className={styles.part}>
            <h3>Candidates</h3>
            <ul className={styles.candidates}>
              {plan.candidates.map((candidate) => (
                <li key={candidate.node.id}>
                  <Status tone={candidate.eligible ? 'ok' : 'neutral'}>
                    <NodeLink id={candidate.node.id} name={candidate.node.name} />
                  </Status>
                  <span className="muted">
                    {candidate.reason}
                    {candidate.inFlight > 0 && `; ${formatCount(candidate.inFlight)} under way`}
                  </span>
                </li>
              ))}
            </ul>
          </section>
          <section className={styles.part}>
            <h3>What would be sent</h3>
            <Json value={plan.arguments} label="Arguments that would be sent" />
          </section>
        </>
      )}
    </div>
  );
}
