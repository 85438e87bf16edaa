import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent, type MouseEvent, type RefObject } from 'react';
import { formatRelative } from '~/lib/time';
import { useSecond } from '~/lib/clock';
import { isWithin, layOut, moveBy, nextUsed, numberAt, outlineOf, placeOf, type BandLayout, type NumberState } from './band';
import styles from './BandPicture.module.css';
import type { Pool, PoolNumbers } from './usePools';

export interface BandPictureProps {
  pool: Pool;
  numbers: PoolNumbers;
  selected: number | null;
  onSelect: (number: number) => void;
}

const HEIGHT_MAX = 340;
/** Moving by key says which number is meant when it stops for a moment. */
const SETTLE_MS = 250;

/** The band as a picture: a cell for each number, read out one at a time by the arrow keys. */
export function BandPicture({ pool, numbers, selected, onSelect }: BandPictureProps) {
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const [hovered, setHovered] = useState<number | null>(null);
  const [moving, setMoving] = useState<number | null>(null);
  const settle = useRef<ReturnType<typeof setTimeout>>(undefined);
  const layout = useMemo(() => layOut(pool.from, pool.to, Math.max(200, width), HEIGHT_MAX), [pool.from, pool.to, width]);
  useEffect(() => () => clearTimeout(settle.current), []);

  const inBand = (number: number | null) => (number !== null && number >= pool.from && number <= pool.to ? number : null);
  const current = inBand(moving) ?? inBand(selected) ?? pool.from;
  const shown = hovered ?? inBand(moving);

  const go = (number: number) => {
    setMoving(number);
    clearTimeout(settle.current);
    settle.current = setTimeout(() => {
      onSelect(number);
      setMoving(null);
    }, SETTLE_MS);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const target = event.key === 'n' ? nextUsed(numbers.used, current, true) : event.key === 'p' ? nextUsed(numbers.used, current, false) : moveBy(event.key, current, layout.columns, pool.from, pool.to);
    if (target === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    go(target);
  };
  const pointed = (event: MouseEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    return numberAt(layout, pool.from, pool.to, event.clientX - box.left, event.clientY - box.top);
  };

  return (
    <div ref={frame} className={styles.frame}>
      <div
        className={styles.picture}
        role="slider"
        tabIndex={0}
        aria-label={`Numbers of ${pool.host} for ${pool.transport}`}
        aria-valuemin={pool.from}
        aria-valuemax={pool.to}
        aria-valuenow={current}
        aria-valuetext={`${current}, ${wordsOf(numbers, current)}`}
        onKeyDown={onKeyDown}
        style={{ width: layout.columns * layout.pitch }}
      >
        <svg
          width={layout.columns * layout.pitch}
          height={layout.rows * layout.pitch}
          aria-hidden="true"
          onPointerMove={(event) => setHovered(pointed(event))}
          onPointerLeave={() => setHovered(null)}
          onClick={(event) => {
            const number = pointed(event);
            if (number !== null) onSelect(number);
          }}
        >
          <Cells pool={pool} numbers={numbers} layout={layout} />
          {inBand(moving ?? selected) !== null && <Ring layout={layout} number={current} className={styles.selected} />}
          {hovered !== null && <Ring layout={layout} number={hovered} className={styles.hovered} />}
        </svg>
        {shown !== null && <Tip layout={layout} number={shown} numbers={numbers} width={width} />}
      </div>
      <div className={styles.ends} style={{ width: layout.columns * layout.pitch }} aria-hidden="true">
        <span>{pool.from}</span>
        <span>{layout.columns} a row</span>
        <span>{pool.to}</span>
      </div>
    </div>
  );
}

/** All cells in a handful of shapes: a pattern for the free ones, one path for each other state. */
function Cells({ pool, numbers, layout }: { pool: Pool; numbers: PoolNumbers; layout: BandLayout }) {
  const id = useId();
  const { pitch } = layout;
  const gap = pitch >= 5 ? 1 : pitch >= 3 ? 0.5 : 0;
  const paths = useMemo(() => {
    const cell = (number: number, top: number) => {
      const { x, y } = placeOf(layout, number);
      const size = pitch - gap;
      return `M${x.toFixed(1)} ${(y + top * size).toFixed(1)}h${size.toFixed(1)}v${(size * (1 - top)).toFixed(1)}h-${size.toFixed(1)}z`;
    };
    return {
      reserved: numbers.reserved.map((span) => outlineOf({ from: Math.max(span.from, pool.from), to: Math.min(span.to, pool.to) }, layout)).join(''),
      leased: [...numbers.leases.keys()].map((number) => cell(number, 0)).join(''),
      // Half as high, so that it differs besides its colour.
      quarantined: [...numbers.keptBack.keys()].map((number) => cell(number, 0.45)).join(''),
    };
  }, [numbers, pool, layout, pitch, gap]);
  return (
    <>
      <defs>
        <pattern id={id} width={pitch} height={pitch} patternUnits="userSpaceOnUse">
          <rect width={pitch - gap} height={pitch - gap} className={styles.free} />
        </pattern>
        {/* A bar in the middle of each, so that it differs besides its colour. */}
        <pattern id={`${id}-reserved`} width={pitch} height={pitch} patternUnits="userSpaceOnUse">
          <rect width={pitch - gap} height={pitch - gap} className={styles.ground} />
          <rect y={(pitch - gap) * 0.4} width={pitch - gap} height={(pitch - gap) * 0.3} className={styles.reserved} />
        </pattern>
      </defs>
      <path d={outlineOf(pool, layout)} fill={`url(#${id})`} />
      <path d={paths.reserved} fill={`url(#${id}-reserved)`} />
      <path d={paths.leased} className={styles.leased} />
      <path d={paths.quarantined} className={styles.quarantined} />
    </>
  );
}

function Ring({ layout, number, className }: { layout: BandLayout; number: number; className: string | undefined }) {
  const { x, y } = placeOf(layout, number);
  return <rect x={x - 1.5} y={y - 1.5} width={layout.pitch + 2} height={layout.pitch + 2} rx="2" className={className} />;
}

function Tip({ layout, number, numbers, width }: { layout: BandLayout; number: number; numbers: PoolNumbers; width: number }) {
  const now = useSecond();
  const { x, y } = placeOf(layout, number);
  const lease = numbers.leases.get(number);
  const keptBack = numbers.keptBack.get(number);
  const toLeft = x > width / 2;
  return (
    <div className={styles.tip} style={{ top: y + layout.pitch + 6, ...(toLeft ? { right: layout.columns * layout.pitch - x - layout.pitch } : { left: x }) }} aria-hidden="true">
      <b>{number}</b> {wordsOf(numbers, number)}
      {lease?.expiresAt && <div>ends {formatRelative(lease.expiresAt, now)}</div>}
      {keptBack && <div>free {formatRelative(keptBack.until, now)}</div>}
    </div>
  );
}

export function stateOf(numbers: PoolNumbers, number: number): NumberState {
  if (numbers.leases.has(number)) return 'leased';
  if (numbers.keptBack.has(number)) return 'quarantined';
  return isWithin(numbers.reserved, number) ? 'reserved' : 'free';
}

function wordsOf(numbers: PoolNumbers, number: number): string {
  const lease = numbers.leases.get(number);
  if (lease) return `leased to ${lease.allocatedBy}${lease.purpose ? `: ${lease.purpose}` : ''}`;
  const reason = numbers.keptBack.get(number)?.reason;
  return { leased: '', quarantined: `kept back${reason ? ` because ${reason}` : ''}`, reserved: 'kept out by the configuration', free: 'free' }[stateOf(numbers, number)];
}

function useWidth(element: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const { current } = element;
    if (!current) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(current);
    return () => observer.disconnect();
  }, [element]);
  return width;
}
