import { Maximize, Minus, Plus } from 'lucide-react';
import { useEffect, useEffectEvent, useImperativeHandle, useMemo, useRef, useState, useSyncExternalStore, type KeyboardEvent, type Ref } from 'react';
import { useTheme } from '~/app/theme';
import { IconButton } from '~/ui/Button';
import type { Emphasis } from './draw';
import styles from './GraphPage.module.css';
import { paletteAt, type Palette } from './looks';
import { neighbourhood, type GraphModel } from './model';
import { Picture, type PictureState } from './Picture';
import { step } from './steps';
import type { Arranged } from './useLayout';

export interface CanvasHandle {
  reveal: (id: string) => void;
  show: (ids: ReadonlySet<string>) => void;
  palette: () => Palette | null;
}

export interface GraphCanvasProps {
  model: GraphModel;
  arranged: Arranged;
  /** What was asked for: another question is shown whole, another answer to the same keeps the view. */
  question: string;
  chosen: string | null;
  focus: string | null;
  found: ReadonlySet<string>;
  /** All that breaks, the chosen node with it; null while nobody asks. */
  breaking: ReadonlySet<string> | null;
  onChoose: (id: string | null) => void;
  onFocus: (id: string) => void;
  ref?: Ref<CanvasHandle>;
}

export function GraphCanvas({ model, arranged, question, chosen, focus, found, breaking, onChoose, onFocus, ref }: GraphCanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const picture = useRef<Picture | null>(null);
  const [hovered, setHovered] = useState<string | null>(null);
  const palette = usePalette(canvas);
  const emphasis = useMemo(() => emphasisOf(model, chosen, breaking), [model, chosen, breaking]);
  const state = useMemo<PictureState | null>(
    () => palette && { model, chosen, focus, hovered, found, emphasis, palette },
    [model, chosen, focus, hovered, found, emphasis, palette],
  );

  const choose = useEffectEvent(onChoose);
  const open = useEffectEvent((id: string) => !model.items.get(id)?.missing && onFocus(id));
  const ready = state !== null;
  const begin = useEffectEvent(() => state);
  useEffect(() => {
    const first = begin();
    if (!canvas.current || !first) return;
    const made = new Picture(canvas.current, first, { choose: (id) => choose(id), open: (id) => open(id), hover: (id) => setHovered(id) });
    picture.current = made;
    return () => {
      made.dispose();
      picture.current = null;
    };
  }, [ready]);
  useEffect(() => {
    if (state) picture.current?.set(state);
  }, [state]);
  useEffect(() => picture.current?.arrange(arranged.layout, question), [arranged, question, ready]);
  useImperativeHandle(ref, () => ({
    reveal: (id) => picture.current?.reveal(id),
    show: (ids) => picture.current?.show(ids),
    palette: () => palette,
  }), [palette]);

  const onKeyDown = (event: KeyboardEvent) => {
    const shown = picture.current;
    if (!shown) return;
    const next = step(event.key, model, arranged.layout, chosen);
    if (next) {
      onChoose(next);
      shown.reveal(next);
    } else if (event.key === 'Enter' && chosen && !model.items.get(chosen)?.missing) onFocus(chosen);
    else if (event.key === 'Escape') onChoose(null);
    else if (event.key === '+' || event.key === '=') shown.zoom(1.4);
    else if (event.key === '-') shown.zoom(1 / 1.4);
    else if (event.key === '0') shown.fit();
    else return;
    event.preventDefault();
  };

  const name = hovered ? model.items.get(hovered)?.name : undefined;
  return (
    <div className={styles.frame}>
      <div
        className={styles.stage}
        role="application"
        tabIndex={0}
        aria-label="Picture of the graph. Arrow keys go from node to node, Enter focuses, plus and minus zoom, 0 shows all. The list has the same in words."
        onKeyDown={onKeyDown}
      >
        <canvas ref={canvas} className={styles.canvas} data-pointing={hovered !== null} title={name} aria-hidden="true" />
      </div>
      <div className={styles.zoom} role="group" aria-label="Zoom">
        <IconButton variant="plain" label="Zoom in" icon={<Plus aria-hidden="true" />} onClick={() => picture.current?.zoom(1.5)} />
        <IconButton variant="plain" label="Zoom out" icon={<Minus aria-hidden="true" />} onClick={() => picture.current?.zoom(1 / 1.5)} />
        <IconButton variant="plain" label="Show all" icon={<Maximize aria-hidden="true" />} onClick={() => picture.current?.fit()} />
      </div>
    </div>
  );
}

function emphasisOf(model: GraphModel, chosen: string | null, breaking: ReadonlySet<string> | null): Emphasis | null {
  if (breaking) return { nodes: breaking, links: (link) => breaking.has(link.from) && breaking.has(link.to), tone: 'bad' };
  if (chosen === null || !model.items.has(chosen)) return null;
  return { nodes: neighbourhood(model, chosen), links: (link) => link.from === chosen || link.to === chosen, tone: 'accent' };
}

/** The colours of the theme, anew when it changes. */
function usePalette(canvas: React.RefObject<HTMLCanvasElement | null>): Palette | null {
  const [theme] = useTheme();
  const dark = useSyncExternalStore(onScheme, () => scheme.matches);
  const [palette, setPalette] = useState<Palette | null>(null);
  useEffect(() => {
    const frame = requestAnimationFrame(() => {
      if (canvas.current?.parentElement) setPalette(paletteAt(canvas.current.parentElement));
    });
    return () => cancelAnimationFrame(frame);
  }, [canvas, theme, dark]);
  return palette;
}

const scheme = window.matchMedia('(prefers-color-scheme: dark)');

function onScheme(listener: () => void) {
  scheme.addEventListener('change', listener);
  return () => scheme.removeEventListener('change', listener);
}
