import { titled } from '~/lib/format';
import type { Snapshot, SnapshotBus, SnapshotLease, SnapshotNode, SnapshotTool } from './snapshot';

export type Sort = 'added' | 'removed' | 'changed';
export type Thing = 'node' | 'tool' | 'lease' | 'bus';

export interface FieldChange {
  field: string;
  before: string;
  after: string;
}

export interface Difference {
  thing: Thing;
  sort: Sort;
  id: string;
  name: string;
  /** What differs; empty where it was added or removed. */
  fields: readonly FieldChange[];
}

/** What a thing says of itself, by the names under which people know it. */
type Fields<Item> = Record<string, (item: Item) => string>;

const NODE: Fields<SnapshotNode> = {
  Name: (node) => node.name,
  Status: (node) => titled(node.status),
  Kind: (node) => titled(node.kind),
  Version: (node) => node.version ?? '',
  Contract: (node) => node.versionHash?.slice(0, 12) ?? '',
  Trust: (node) => titled(node.trust.state),
  Host: (node) => node.host ?? '',
  Tags: (node) => node.tags.join(', '),
  Description: (node) => node.description ?? '',
};
const TOOL: Fields<SnapshotTool> = {
  Description: (tool) => tool.description ?? '',
  Providers: (tool) => tool.providers.map((provider) => provider.node.name).join(', '),
  Quarantine: (tool) => tool.quarantine ?? '',
};
const LEASE: Fields<SnapshotLease> = {
  Status: (lease) => titled(lease.status),
  Purpose: (lease) => lease.purpose ?? '',
  Node: (lease) => lease.node?.name ?? '',
};
const BUS: Fields<SnapshotBus> = {
  Name: (bus) => bus.name,
  Status: (bus) => titled(bus.status),
  Purpose: (bus) => bus.purpose ?? '',
};

export const leaseName = (lease: SnapshotLease) => `${lease.port} on ${lease.host}`;
export const toolName = (tool: SnapshotTool) => `${tool.name} ${tool.version}`;

/** What is other in the later state than in the earlier one: what came, what went, and what says something else. */
export function differences(before: Snapshot, after: Snapshot): Difference[] {
  return [
    ...compared('node', before.nodes, after.nodes, (node) => node.name, NODE),
    ...compared('tool', before.tools, after.tools, toolName, TOOL),
    ...compared('lease', before.leases, after.leases, leaseName, LEASE),
    ...compared('bus', before.buses, after.buses, (bus) => bus.name, BUS),
  ];
}

function compared<Item extends { id: string }>(thing: Thing, before: readonly Item[], after: readonly Item[], nameOf: (item: Item) => string, fields: Fields<Item>): Difference[] {
  const earlier = new Map(before.map((item) => [item.id, item]));
  const later = new Map(after.map((item) => [item.id, item]));
  const found: Difference[] = [];
  for (const item of after) {
    const old = earlier.get(item.id);
    if (!old) found.push({ thing, sort: 'added', id: item.id, name: nameOf(item), fields: [] });
    else if (old !== item) {
      const changed = Object.entries(fields).map(([field, read]) => ({ field, before: read(old), after: read(item) })).filter((each) => each.before !== each.after);
      if (changed.length > 0) found.push({ thing, sort: 'changed', id: item.id, name: nameOf(item), fields: changed });
    }
  }
  for (const item of before) if (!later.has(item.id)) found.push({ thing, sort: 'removed', id: item.id, name: nameOf(item), fields: [] });
  return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
