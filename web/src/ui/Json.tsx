import { useMemo } from 'react';
import { Copy } from './Copy';
import styles from './Json.module.css';

/** JSON in colours, indented, with its copy button. Long values scroll. */
export function Json({ value, label = 'JSON' }: { value: unknown; label?: string }) {
  const text = useMemo(() => written(value, 2), [value]);
  const tokens = useMemo(() => (text.length <= COLOURED_MAX ? tokensOf(text) : null), [text]);
  return (
    <div className={styles.json}>
      <pre tabIndex={0} role="region" aria-label={label}>
        <code>
          {tokens
            ? tokens.map((token, index) => (
                <span key={index} className={styles[token.kind]}>
                  {token.text}
                </span>
              ))
            : text}
        </code>
      </pre>
      <Copy text={text} label={`Copy ${label}`} />
    </div>
  );
}

/** On one line, cut by the room there is: for tables. */
export function JsonLine({ value }: { value: unknown }) {
  const text = useMemo(() => written(value), [value]);
  return (
    <code className={`${styles.line ?? ''} truncate`} title={text.slice(0, 2_000)}>
      {text.slice(0, 500)}
    </code>
  );
}

/** Beyond it colours cost more than they help. */
const COLOURED_MAX = 60_000;

/** What has no JSON, as `undefined`, is null. */
function written(value: unknown, indent?: number): string {
  return JSON.stringify(value ?? null, null, indent);
}

type Kind = 'key' | 'string' | 'number' | 'word' | 'rest';
const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)/g;

function tokensOf(text: string): { kind: Kind; text: string }[] {
  const tokens: { kind: Kind; text: string }[] = [];
  let last = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > last) tokens.push({ kind: 'rest', text: text.slice(last, match.index) });
    const [all, string, colon, number] = match;
    const kind = string !== undefined ? (colon !== undefined ? 'key' : 'string') : number !== undefined ? 'number' : 'word';
    tokens.push({ kind, text: all });
    last = match.index + all.length;
  }
  tokens.push({ kind: 'rest', text: text.slice(last) });
  return tokens;
}
