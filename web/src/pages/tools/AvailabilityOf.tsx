import { Status, type Tone } from '~/ui/Badge';
import { availabilityOf, type Availability, type ToolRow } from './toolRows';

const LOOKS: Record<Availability, { tone: Tone; word: string; meaning: string }> = {
  callable: { tone: 'ok', word: 'Callable', meaning: 'Somebody can take a call now.' },
  unreachable: { tone: 'bad', word: 'Unreachable', meaning: 'Nobody who offers it can take a call now.' },
  declared: { tone: 'neutral', word: 'Declared', meaning: 'Contracts promise it; no live instance has offered it yet.' },
  quarantined: { tone: 'warn', word: 'Quarantined', meaning: 'No call is sent to it for now.' },
};

export function AvailabilityOf({ tool }: { tool: Pick<ToolRow, 'quarantine' | 'providers'> }) {
  const { tone, word, meaning } = LOOKS[availabilityOf(tool)];
  return (
    <Status tone={tone} title={tool.quarantine ?? meaning}>
      {word}
    </Status>
  );
}
