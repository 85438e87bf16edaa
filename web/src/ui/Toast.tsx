import { X } from 'lucide-react';
import { Toast as Primitive } from 'radix-ui';
import { useSyncExternalStore } from 'react';
import type { Fault } from '~/data/errors';
import { classes } from '~/lib/classes';
import { IconButton } from './Button';
import styles from './Toast.module.css';

interface Message {
  id: number;
  tone: 'ok' | 'bad';
  title: string;
  text: string | null;
}

let messages: readonly Message[] = [];
let lastId = 0;
const listeners = new Set<() => void>();

function put(next: readonly Message[]) {
  messages = next;
  for (const listener of listeners) listener();
}

function add(message: Omit<Message, 'id'>) {
  lastId += 1;
  put([...messages.slice(-3), { ...message, id: lastId }]);
}

/** Says for a moment what came of something that was done. What stays wrong belongs on the page, not here. */
export const toast = {
  done: (title: string, text: string | null = null) => add({ tone: 'ok', title, text }),
  failed: (fault: Fault) => add({ tone: 'bad', title: fault.message, text: [fault.hint, `Code ${fault.code}`].filter(Boolean).join(' ') }),
};

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    () => messages,
  );
  return (
    <Primitive.Provider swipeDirection="right" duration={6_000}>
      {shown.map((message) => (
        <Primitive.Root
          key={message.id}
          className={classes(styles.toast, styles[message.tone])}
          duration={message.tone === 'bad' ? 12_000 : 5_000}
          onOpenChange={(open) => !open && put(messages.filter((each) => each.id !== message.id))}
        >
          <div>
            <Primitive.Title className={styles.title}>{message.title}</Primitive.Title>
            {message.text && <Primitive.Description className={styles.text}>{message.text}</Primitive.Description>}
          </div>
          <Primitive.Close asChild>
            <IconButton size="small" label="Dismiss" icon={<X aria-hidden="true" />} />
          </Primitive.Close>
        </Primitive.Root>
      ))}
      <Primitive.Viewport className={styles.viewport} />
    </Primitive.Provider>
  );
}
