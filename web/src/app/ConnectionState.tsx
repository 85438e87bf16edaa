import { useSyncExternalStore } from 'react';
import { faultFrom } from '~/data/errors';
import { isLost, type StreamState } from '~/data/follow';
import { useChangesSnapshot, useConnection, useStreamState } from '~/data/hooks';
import { useSecond } from '~/lib/clock';
import { formatCount } from '~/lib/format';
import { Dot, type Tone } from '~/ui/Badge';
import { Button } from '~/ui/Button';
import styles from './ConnectionState.module.css';

const WORDS: Record<StreamState['name'], { tone: Tone; word: string }> = {
  connecting: { tone: 'neutral', word: 'Connecting' },
  open: { tone: 'ok', word: 'Live' },
  lost: { tone: 'warn', word: 'Reconnecting' },
  ended: { tone: 'bad', word: 'Not live' },
};

/** One word for the whole time without a connection: it is read out whenever it changes. */
function wordOf(state: StreamState) {
  return WORDS[state.name === 'connecting' && state.failed > 0 ? 'lost' : state.name];
}

/** Whether what is shown is live, and which place of the log it shows. */
export function ConnectionLine({ short }: { short?: boolean }) {
  const state = useStreamState();
  const { sequence } = useChangesSnapshot();
  const { tone, word } = wordOf(state);
  return (
    <div className={short ? styles.short : styles.line}>
      <Dot tone={tone} />
      <span className={styles.word} role="status">
        {word}
      </span>
      <span className={styles.sequence} title="The last change this page has seen: the registry’s place in its log">
        <span className="visually-hidden">Change </span>#{formatCount(sequence)}
      </span>
    </div>
  );
}

/** Says that the connection is lost, when it is tried again, and that nothing will be missed. */
export function ConnectionBanner() {
  const { changes } = useConnection();
  const state = useStreamState();
  const online = useSyncExternalStore(onOnline, () => navigator.onLine);
  const now = useSecond();
  if (state.name === 'ended' && state.fault) {
    return (
      <div className={styles.banner} role="alert">
        <span>
          This page is no longer live. {faultFrom(state.fault).message} Reload to begin anew.
        </span>
        <Button size="small" onClick={() => window.location.reload()}>
          Reload
        </Button>
      </div>
    );
  }
  if (!isLost(state)) return null;
  const seconds = state.name === 'lost' ? Math.max(0, Math.ceil(state.retryAt / 1000 - now)) : 0;
  return (
    <div className={styles.banner} role="alert">
      <span>
        {online ? 'The connection to the registry is lost.' : 'This machine is offline.'} What is shown may be old; what changes meanwhile is
        made up for.
      </span>
      <span aria-hidden="true" className="muted">
        {seconds > 0 ? `Again in ${seconds} s` : 'Trying'}
      </span>
      <Button size="small" onClick={changes.retryNow}>
        Try now
      </Button>
    </div>
  );
}

function onOnline(listener: () => void) {
  window.addEventListener('online', listener);
  window.addEventListener('offline', listener);
  return () => {
    window.removeEventListener('online', listener);
    window.removeEventListener('offline', listener);
  };
}
