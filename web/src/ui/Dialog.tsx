import { X } from 'lucide-react';
import { Dialog as Primitive } from 'radix-ui';
import type { ReactNode } from 'react';
import { classes } from '~/lib/classes';
import { IconButton } from './Button';
import styles from './Dialog.module.css';
import { useFocusBack } from './useFocusBack';

export interface DialogProps {
  open: boolean;
  /** Absent: the dialog has to be answered and cannot be closed. */
  onClose?: () => void;
  title: string;
  /** What it is about, in a sentence. */
  description?: ReactNode;
  /** A sheet comes from the side and leaves the page in view. */
  as?: 'dialog' | 'sheet';
  children: ReactNode;
}

export function Dialog({ open, onClose, ...rest }: DialogProps) {
  return (
    <Primitive.Root open={open} onOpenChange={(next) => !next && onClose?.()}>
      <Primitive.Portal>
        <Primitive.Overlay className={styles.overlay} />
        <Opened onClose={onClose} {...rest} />
      </Primitive.Portal>
    </Primitive.Root>
  );
}

function Opened({ onClose, title, description, as = 'dialog', children }: Omit<DialogProps, 'open'>) {
  const giveBack = useFocusBack();
  return (
    <Primitive.Content className={classes(styles.content, styles[as])} aria-describedby={undefined} onCloseAutoFocus={giveBack}>
      <header className={styles.head}>
        <Primitive.Title className={styles.title}>{title}</Primitive.Title>
        {onClose && <IconButton label="Close" icon={<X aria-hidden="true" />} onClick={onClose} />}
      </header>
      {description && <div className={styles.description}>{description}</div>}
      <div className={styles.body}>{children}</div>
    </Primitive.Content>
  );
}

/** The buttons at a dialog's end, the one that does it last. */
export function DialogActions({ children }: { children: ReactNode }) {
  return <div className={styles.actions}>{children}</div>;
}
