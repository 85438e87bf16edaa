import { Check, Copy as CopyIcon } from 'lucide-react';
import { useState } from 'react';
import { classes } from '~/lib/classes';
import { IconButton, Button } from './Button';
import styles from './Copy.module.css';

function useCopied(text: string): [boolean, () => Promise<void>] {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1_500);
  };
  return [copied, copy];
}

/** Copies a text. Without words a symbol alone, which says what it does to screen readers and on hover. */
export function Copy({ text, label = 'Copy', words }: { text: string; label?: string; words?: string }) {
  const [copied, copy] = useCopied(text);
  const icon = copied ? <Check aria-hidden="true" /> : <CopyIcon aria-hidden="true" />;
  return (
    <>
      {words ? (
        <Button size="small" icon={icon} onClick={copy}>
          {copied ? 'Copied' : words}
        </Button>
      ) : (
        <IconButton size="small" label={label} icon={icon} onClick={copy} />
      )}
      <span className="visually-hidden" role="status">
        {copied ? 'Copied' : ''}
      </span>
    </>
  );
}

/** An id: its beginning, or its end where ids that begin alike are beside each other; the whole on hover and by copy. */
export function Id({ id, part = 'start', copy = true }: { id: string; part?: 'start' | 'end' | 'all'; copy?: boolean }) {
  const text = part === 'all' ? id : part === 'start' ? id.slice(0, 8) : `…${id.slice(-8)}`;
  return (
    <span className={classes(styles.id, part === 'all' && styles.whole)}>
      <code title={id}>{text}</code>
      {copy && <Copy text={id} label={`Copy the id ${id}`} />}
    </span>
  );
}

/** A command or a text to paste, with its copy button. */
export function CodeBlock({ code, label }: { code: string; label?: string }) {
  return (
    <div className={styles.block}>
      <pre tabIndex={0} aria-label={label ?? 'Code'} role="region">
        <code>{code}</code>
      </pre>
      <Copy text={code} label={label ? `Copy: ${label}` : 'Copy'} />
    </div>
  );
}
