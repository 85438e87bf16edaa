import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react';
import { classes } from '~/lib/classes';
import styles from './Button.module.css';

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** One primary button a view at most: what people come for. */
  variant?: 'primary' | 'plain' | 'quiet' | 'danger';
  size?: 'small' | 'normal';
  icon?: ReactNode;
  /** It is doing its work: it says so and cannot be pressed. */
  busy?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ variant = 'plain', size = 'normal', icon, busy, children, className, disabled, type = 'button', ...rest }: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      disabled={disabled === true || busy === true}
      aria-busy={busy}
      className={classes(styles.button, styles[variant], size === 'small' && styles.small, className)}
    >
      {icon}
      {children}
    </button>
  );
}

export interface IconButtonProps extends Omit<ButtonProps, 'children' | 'icon'> {
  /** What it does: read out, and shown on hover. */
  label: string;
  icon: ReactNode;
}

export function IconButton({ label, icon, variant = 'quiet', className, ...rest }: IconButtonProps) {
  return (
    <Button {...rest} variant={variant} aria-label={label} title={label} className={classes(styles.iconOnly, className)}>
      {icon}
    </Button>
  );
}
