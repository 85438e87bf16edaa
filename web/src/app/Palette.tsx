import { Search } from 'lucide-react';
import { Dialog } from 'radix-ui';
import { useId, useState, type KeyboardEvent } from 'react';
import { useLocation } from 'wouter';
import { classes } from '~/lib/classes';
import { useFocusBack } from '~/ui/useFocusBack';
import { useSearchHits, type Hit } from './paletteSearch';
import styles from './Palette.module.css';

/** Finds anything by name, and goes there: nodes, tools, buses, topics, ports, pages. */
export function Palette({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className={styles.overlay} />
        <Opened onClose={onClose} />
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Opened({ onClose }: { onClose: () => void }) {
  const giveBack = useFocusBack();
  return (
    <Dialog.Content className={styles.palette} aria-describedby={undefined} onCloseAutoFocus={giveBack}>
      <Dialog.Title className="visually-hidden">Search</Dialog.Title>
      <Finder onClose={onClose} />
    </Dialog.Content>
  );
}

function Finder({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('');
  const [active, setActive] = useState(0);
  const { hits, searching } = useSearchHits(text, true);
  const [, navigate] = useLocation();
  const listId = useId();
  const current = Math.min(active, hits.length - 1);

  const go = (hit: Hit | undefined) => {
    if (!hit) return;
    onClose();
    if (hit.leaves) window.location.assign(hit.path);
    else navigate(hit.path);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setActive((current + 1) % Math.max(1, hits.length));
    else if (event.key === 'ArrowUp') setActive((current - 1 + hits.length) % Math.max(1, hits.length));
    else if (event.key === 'Enter') go(hits[current]);
    else return;
    event.preventDefault();
  };

  return (
    <>
      <div className={styles.box}>
        <Search aria-hidden="true" />
        <input
          role="combobox"
          aria-expanded={hits.length > 0}
          aria-controls={listId}
          aria-activedescendant={hits.length > 0 ? `${listId}-${current}` : undefined}
          aria-label="Search nodes, tools, buses, topics and ports"
          placeholder="Search nodes, tools, buses, topics, ports…"
          autoComplete="off"
          spellCheck={false}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setActive(0);
          }}
          onKeyDown={onKeyDown}
          autoFocus
        />
        <kbd>Esc</kbd>
      </div>
      <ul id={listId} role="listbox" aria-label="Found" className={styles.hits}>
        {hits.map((hit, index) => (
          <HitItem key={`${hit.group}:${hit.key}`} id={`${listId}-${index}`} hit={hit} heading={hits[index - 1]?.group !== hit.group} active={index === current} onPoint={() => setActive(index)} onGo={() => go(hit)} />
        ))}
      </ul>
      <p className={styles.foot} role="status">
        {hits.length === 0 ? (searching ? 'Searching' : 'Nothing has this in its name, tags or description.') : <Keys />}
      </p>
    </>
  );
}

function Keys() {
  return (
    <span aria-hidden="true">
      <kbd>↑</kbd> <kbd>↓</kbd> to choose, <kbd>Enter</kbd> to go
    </span>
  );
}

function HitItem({ id, hit, heading, active, onPoint, onGo }: { id: string; hit: Hit; heading: boolean; active: boolean; onPoint: () => void; onGo: () => void }) {
  return (
    <>
      {heading && (
        <li role="presentation" className={styles.group}>
          {hit.group}
        </li>
      )}
      <li
        id={id}
        role="option"
        aria-selected={active}
        className={classes(styles.hit, active && styles.active)}
        onPointerMove={onPoint}
        onClick={onGo}
        ref={(element) => {
          if (active) element?.scrollIntoView({ block: 'nearest' });
        }}
      >
        <span className="truncate">{hit.title}</span>
        <span className={classes(styles.note, 'truncate')}>{hit.note}</span>
      </li>
    </>
  );
}
