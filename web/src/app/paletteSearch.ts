import { useEffect, useMemo, useState } from 'react';
import { useQuery } from 'urql';
import { graphql } from '~/gql';
import { paths } from '~/lib/paths';
import { titled } from '~/lib/format';
import { places } from './routes';

export interface Hit {
  key: string;
  group: 'Go to' | 'Nodes' | 'Tools' | 'Ports' | 'Buses' | 'Topics';
  title: string;
  note: string;
  path: string;
  leaves?: boolean;
}

const SearchDocument = graphql(`
  query Search($text: String!, $port: Int, $byPort: Boolean!) {
    nodes(filter: { search: $text }, first: 6) {
      nodes {
        id
        name
        kind
        status
      }
    }
    tools(filter: { search: $text }, first: 5) {
      nodes {
        id
        name
        version
        description
      }
    }
    buses(filter: { search: $text }, first: 4) {
      nodes {
        id
        name
        kind
        purpose
      }
    }
    ports(filter: { port: $port, status: ACTIVE }, first: 3) @include(if: $byPort) {
      nodes {
        id
        port
        host
        purpose
      }
    }
  }
`);

const TopicNamesDocument = graphql(`
  query TopicNames {
    topics(first: 500) {
      nodes {
        name
        publishers {
          id
          name
        }
        declaredSubscribers {
          id
          name
        }
      }
    }
  }
`);

/** A moment without a key: then what was typed is worth a question. */
const PAUSE_MS = 90;

export function useSearchHits(text: string, open: boolean): { hits: Hit[]; searching: boolean } {
  const settled = useSettled(text.trim());
  const port = /^\d{2,5}$/.test(settled) ? Number(settled) : null;
  const pause = !open || settled.length < 2;
  const [found] = useQuery({ query: SearchDocument, variables: { text: settled, port, byPort: port !== null }, pause, requestPolicy: 'network-only' });
  const [topics] = useQuery({ query: TopicNamesDocument, pause: !open, requestPolicy: 'cache-and-network' });

  const hits = useMemo(() => {
    const lower = text.trim().toLowerCase();
    const pages: Hit[] = places
      .filter((place) => place.label.toLowerCase().includes(lower))
      .map((place) => ({ key: place.path, group: 'Go to', title: place.label, note: '', path: place.path, leaves: place.leaves }));
    if (lower.length < 2) return pages;
    const data = pause ? undefined : found.data;
    const nodes = (data?.nodes.nodes ?? []).map((node): Hit => ({ key: node.id, group: 'Nodes', title: node.name, note: `${titled(node.kind)}, ${titled(node.status).toLowerCase()}`, path: paths.node(node.id) }));
    const tools = (data?.tools.nodes ?? []).map((tool): Hit => ({ key: tool.id, group: 'Tools', title: tool.name, note: tool.description ?? tool.version, path: paths.tool(tool.name, tool.version) }));
    const buses = (data?.buses.nodes ?? []).map((bus): Hit => ({ key: bus.id, group: 'Buses', title: bus.name, note: bus.purpose ?? bus.kind, path: paths.bus(bus.name) }));
    const ports = (data?.ports?.nodes ?? []).map((lease): Hit => ({ key: lease.id, group: 'Ports', title: String(lease.port), note: lease.purpose ?? lease.host, path: paths.ports({ port: lease.port }) }));
    const named = (topics.data?.topics.nodes ?? [])
      .filter((topic) => topic.name.toLowerCase().includes(lower))
      .slice(0, 5)
      .map((topic): Hit => {
        // A topic has no page of its own; its first publisher's names it, else its first reader's.
        const node = topic.publishers[0] ?? topic.declaredSubscribers[0];
        const note = `${topic.publishers.length} publish, ${topic.declaredSubscribers.length} read`;
        return { key: topic.name, group: 'Topics', title: topic.name, note, path: node ? paths.graph({ focus: node.id }) : paths.buses() };
      });
    return [...pages, ...nodes, ...tools, ...buses, ...named, ...ports];
  }, [text, pause, found.data, topics.data]);

  return { hits, searching: !pause && found.fetching };
}

function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
