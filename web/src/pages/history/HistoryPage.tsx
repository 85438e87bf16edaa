import { Page } from '~/components/Page';
import { useUrlStates } from '~/lib/useUrlStates';
import { Tabs } from '~/ui/Tabs';
import { Between } from './Between';
import { Then } from './Then';
import { Timeline } from './Timeline';
import { HISTORY_ADDRESS } from './useFilter';

export default function HistoryPage() {
  const [address, set] = useUrlStates(HISTORY_ADDRESS);
  return (
    <Page title="History" lede="Every change of the registry, in order: what happened, how things stood, and what became of them.">
      <Tabs
        label="Ways to look at the history"
        value={address.view}
        onChange={(view) => set({ view }, true)}
        tabs={[
          { value: 'timeline', label: 'Timeline', content: <Timeline address={address} set={set} /> },
          { value: 'then', label: 'As it was', content: <Then address={address} set={set} /> },
          { value: 'between', label: 'What changed', content: <Between address={address} set={set} /> },
        ]}
      />
    </Page>
  );
}
