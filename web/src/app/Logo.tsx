export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <g fill="var(--accent-ink)">
        <path d="M10.5 10.5l11 11M21.5 10.5l-11 11" stroke="var(--accent-ink)" strokeWidth="2.4" opacity=".55" />
        <circle cx="16" cy="16" r="3.4" />
        <circle cx="9" cy="9" r="2.6" />
        <circle cx="23" cy="9" r="2.6" />
        <circle cx="9" cy="23" r="2.6" />
        <circle cx="23" cy="23" r="2.6" />
      </g>
    </svg>
  );
}
