import { Boxes, Braces, Cable, History, LayoutDashboard, Network, Waypoints, Wrench, type LucideIcon } from 'lucide-react';
import { lazy, type ComponentType } from 'react';
import { paths } from '~/lib/paths';
import OverviewPage from '~/pages/overview/OverviewPage';

export interface RouteProps {
  params: Record<string, string | undefined>;
}

export interface RouteEntry {
  path: string;
  page: ComponentType<RouteProps>;
  /** Absent where the page is there from the beginning. */
  load?: () => Promise<unknown>;
}

/** The code of a page could not be had. */
export class NotLoaded extends Error {}

function route(path: string, load: () => Promise<{ default: ComponentType<RouteProps> }>): RouteEntry {
  const attempt = () =>
    load().catch((cause: unknown) => {
      // One that failed stays so: whoever tries again needs another.
      entry.page = lazy(attempt);
      throw new NotLoaded(`the code of ${path} could not be loaded`, { cause });
    });
  const entry: RouteEntry = { path, load, page: lazy(attempt) };
  return entry;
}

/**
 * Every page, each in a file of its own that is loaded when it is first gone to. The first is there from the beginning:
 * most begin with it, and what it is made of the others need as well.
 */
export const routes: readonly RouteEntry[] = [
  { path: '/', page: OverviewPage },
  route('/nodes', () => import('~/pages/nodes/NodesPage')),
  route('/nodes/:id', () => import('~/pages/nodes/NodePage')),
  route('/graph', () => import('~/pages/graph/GraphPage')),
  route('/tools', () => import('~/pages/tools/ToolsPage')),
  route('/tools/:name', () => import('~/pages/tools/ToolPage')),
  route('/ports', () => import('~/pages/ports/PortsPage')),
  route('/buses', () => import('~/pages/buses/BusesPage')),
  route('/buses/:name', () => import('~/pages/buses/BusPage')),
  route('/history', () => import('~/pages/history/HistoryPage')),
];

/** Begins to load the page at an address before anything is drawn, so that it is there when its place is. */
export function preload(address: string) {
  const parts = (text: string) => text.split('/').filter(Boolean);
  const wanted = parts(address);
  const found = routes.find(({ path }) => {
    const pattern = parts(path);
    return pattern.length === wanted.length && pattern.every((part, index) => part.startsWith(':') || part === wanted[index]);
  });
  // Where it fails, whoever draws the page says so.
  found?.load?.().catch(() => {});
}

export const NotFoundPage = lazy(() => import('~/pages/NotFoundPage'));

export interface Place {
  path: string;
  label: string;
  icon: LucideIcon;
  /** Not a page of the dashboard: the browser goes there. */
  leaves?: boolean;
  /** Has a place of its own in the bar at the bottom of a phone. */
  onPhone?: boolean;
}

/** Where one can go, in the order of the navigation. */
export const places: readonly Place[] = [
  { path: paths.overview(), label: 'Overview', icon: LayoutDashboard, onPhone: true },
  { path: paths.nodes(), label: 'Nodes', icon: Boxes, onPhone: true },
  { path: paths.graph(), label: 'Graph', icon: Network, onPhone: true },
  { path: paths.tools(), label: 'Tools', icon: Wrench, onPhone: true },
  { path: paths.ports(), label: 'Ports', icon: Cable },
  { path: paths.buses(), label: 'Buses', icon: Waypoints },
  { path: paths.history(), label: 'History', icon: History },
  { path: paths.graphiql(), label: 'GraphiQL', icon: Braces, leaves: true },
];
