import { Download, List, Network, X } from 'lucide-react';
import { plural } from '~/lib/format';
import { Button } from '~/ui/Button';
import { SearchBox, Select, Spacer, Toolbar } from '~/ui/Field';
import type { GraphAddress } from './useGraph';

const DEPTHS = [...['1', '2', '3', '5', '8'].map((value) => ({ value, label: plural(Number(value), 'step') })), { value: 'all', label: 'All steps' }];
const DIRECTIONS = [
  { value: 'both', label: 'Upstream and downstream' },
  { value: 'upstream', label: 'Upstream: what feeds it' },
  { value: 'downstream', label: 'Downstream: what it feeds' },
];

export interface GraphToolbarProps {
  address: GraphAddress;
  set: (next: Partial<GraphAddress>, journey?: boolean) => void;
  found: number;
  /** Enter in the search: to the next of those that were found. */
  onNext: () => void;
  onExport: (() => void) | null;
}

export function GraphToolbar({ address, set, found, onNext, onExport }: GraphToolbarProps) {
  const listed = address.view === 'list';
  return (
    <Toolbar label="What the picture shows">
      <form style={{ display: 'contents' }} onSubmit={(event) => { event.preventDefault(); onNext(); }}>
        <SearchBox value={address.search} onChange={(search) => set({ search })} label="Find a node by name" />
      </form>
      {address.search && (
        <span className="muted" role="status">
          {found === 0 ? 'None found' : `${found} found${listed ? '' : ', Enter for the next'}`}
        </span>
      )}
      {address.focus && (
        <>
          <Select label="How far" value={address.depth} onChange={(depth) => set({ depth })} options={DEPTHS} />
          <Select label="Which way" value={address.direction} onChange={(direction) => set({ direction })} options={DIRECTIONS} />
          <Button icon={<X aria-hidden="true" />} onClick={() => set({ focus: '', depth: '2', direction: 'both' }, true)}>
            Whole graph
          </Button>
        </>
      )}
      <Spacer />
      <Button icon={listed ? <Network aria-hidden="true" /> : <List aria-hidden="true" />} onClick={() => set({ view: listed ? 'picture' : 'list' })}>
        {listed ? 'As a picture' : 'As a list'}
      </Button>
      <Button icon={<Download aria-hidden="true" />} disabled={onExport === null} onClick={() => onExport?.()}>
        Export SVG
      </Button>
    </Toolbar>
  );
}
