import { FONT, head, loop, noteOf, trace } from './draw';
import { NODE_HEIGHT, NODE_WIDTH, type Layout, type Point } from './shape';
import { EDGE_LOOKS, shortened, statusTone, type Palette } from './looks';
import type { GraphItem, GraphLink, GraphModel } from './model';

const MARGIN = 32;

/** The whole picture as a file of its own, in the colours that are on the screen. */
export function svgOf(model: GraphModel, layout: Layout, palette: Palette, title: string): string {
  const width = Math.ceil(layout.width + 2 * MARGIN);
  const height = Math.ceil(layout.height + 2 * MARGIN);
  const measure = document.createElement('canvas').getContext('2d');
  if (measure) measure.font = `500 12px ${FONT}`;
  const widthOf = (text: string) => measure?.measureText(text).width ?? text.length * 7;
  const routeOf = (link: GraphLink) => {
    const self = link.from === link.to ? layout.places.get(link.from) : undefined;
    return self ? loop(self) : layout.routes.get(link.key);
  };
  const links = model.links.map((link) => linkOf(routeOf(link), link.kinds, link.cyclic, palette)).join('');
  const nodes = [...model.items.values()].map((item) => nodeOf(item, layout.places.get(item.id), palette, widthOf)).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${-MARGIN} ${-MARGIN} ${width} ${height}" font-family="${escaped(FONT)}">
<title>${escaped(title)}</title>
<rect x="${-MARGIN}" y="${-MARGIN}" width="${width}" height="${height}" fill="${palette.bg}"/>
<g fill="none">${links}</g>
<g>${nodes}</g>
</svg>
`;
}

function linkOf(route: readonly Point[] | undefined, kinds: readonly (keyof typeof EDGE_LOOKS)[], cyclic: boolean, palette: Palette): string {
  if (!route) return '';
  return kinds.map((kind, index) => {
    const look = EDGE_LOOKS[kind];
    const shift = (index - (kinds.length - 1) / 2) * 5;
    const line = new SvgPath();
    trace(line, route, shift);
    const arrow = new SvgPath();
    head(arrow, route, shift);
    const halo = cyclic ? `<path d="${line.d}" stroke="${palette['warn-soft']}" stroke-width="6"/>` : '';
    const dash = look.dash.length > 0 ? ` stroke-dasharray="${look.dash.join(' ')}"` : '';
    return `${halo}<path d="${line.d}" stroke="${palette[look.token]}" stroke-width="1.3"${dash}/><path d="${arrow.d}" fill="${palette[look.token]}"/>`;
  }).join('');
}

function nodeOf(item: GraphItem, place: Point | undefined, palette: Palette, widthOf: (text: string) => number): string {
  if (!place) return '';
  const left = round(place.x - NODE_WIDTH / 2);
  const top = round(place.y - NODE_HEIGHT / 2);
  const outline = item.missing ? palette.bad : item.cycle === null ? palette['line-strong'] : palette.warn;
  const tone = statusTone(item.status);
  const dot = item.missing
    ? `<text x="${left + 11}" y="${top + 25}" font-size="13" font-weight="700" fill="${palette.bad}">?</text>`
    : tone === 'neutral'
      ? `<circle cx="${left + 15}" cy="${top + 20}" r="3.5" fill="none" stroke="${palette['line-strong']}" stroke-width="1.5"/>`
      : tone === 'ok' || tone === 'accent'
        ? `<circle cx="${left + 15}" cy="${top + 20}" r="4" fill="${palette[tone]}"/>`
        : `<rect x="${left + 11}" y="${top + 16}" width="8" height="8" fill="${palette[tone]}"${tone === 'warn' ? ` transform="rotate(45 ${left + 15} ${top + 20})"` : ''}/>`;
  const cycle = item.cycle === null ? '' : `<text x="${left + NODE_WIDTH - 22}" y="${top + 18}" font-size="14" font-weight="600" fill="${palette.warn}">↻</text>`;
  const name = shortened(item.name, widthOf, NODE_WIDTH - 40 - (item.cycle === null ? 0 : 18));
  return `<g><title>${escaped(item.name)}</title><rect x="${left}" y="${top}" width="${NODE_WIDTH}" height="${NODE_HEIGHT}" rx="7" fill="${item.missing ? palette['bad-soft'] : palette.surface}" stroke="${outline}"${item.missing ? ' stroke-dasharray="5 4"' : ''}/>${dot}<text x="${left + 28}" y="${top + 17}" font-size="12" font-weight="500" fill="${palette.text}">${escaped(name)}</text><text x="${left + 28}" y="${top + 32}" font-size="11" fill="${item.missing ? palette.bad : palette['text-2']}">${escaped(noteOf(item))}</text>${cycle}</g>`;
}

/** Takes what a canvas takes, and writes it as a path's data. */
class SvgPath {
  d = '';

  moveTo(x: number, y: number) {
    this.d += `M${round(x)} ${round(y)}`;
  }

  lineTo(x: number, y: number) {
    this.d += `L${round(x)} ${round(y)}`;
  }

  bezierCurveTo(x1: number, y1: number, x2: number, y2: number, x: number, y: number) {
    this.d += `C${round(x1)} ${round(y1)} ${round(x2)} ${round(y2)} ${round(x)} ${round(y)}`;
  }

  closePath() {
    this.d += 'Z';
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

export function download(text: string, name: string) {
  const url = URL.createObjectURL(new Blob([text], { type: 'image/svg+xml' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
