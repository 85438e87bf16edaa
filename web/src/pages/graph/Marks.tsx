import { EDGE_LOOKS, type LinkKind } from './looks';

/** A piece of the line as it is drawn. */
export function EdgeMark({ kind }: { kind: LinkKind }) {
  const { token, dash } = EDGE_LOOKS[kind];
  return (
    <svg width="30" height="10" viewBox="0 0 30 10" aria-hidden="true">
      <path d="M0 5H22" stroke={`var(--${token})`} strokeWidth="1.6" strokeDasharray={dash.join(' ')} />
      <path d="M30 5L22 1V9Z" fill={`var(--${token})`} />
    </svg>
  );
}

export function MissingMark() {
  return (
    <svg width="30" height="16" viewBox="0 0 30 16" aria-hidden="true">
      <rect x="1" y="1" width="28" height="14" rx="3" fill="var(--bad-soft)" stroke="var(--bad)" strokeDasharray="4 3" />
      <text x="11.5" y="12" fontSize="11" fontWeight="700" fill="var(--bad)">?</text>
    </svg>
  );
}

export function CycleMark() {
  return (
    <svg width="30" height="16" viewBox="0 0 30 16" aria-hidden="true">
      <rect x="1" y="1" width="28" height="14" rx="3" fill="var(--surface)" stroke="var(--warn)" strokeWidth="1.5" />
      <text x="10" y="12.5" fontSize="12" fontWeight="600" fill="var(--warn)">↻</text>
    </svg>
  );
}
