import { useState } from 'react';
import { Pause, Play } from 'lucide-react';
import { Link } from 'wouter';
import { ChangeList } from '~/components/ChangeList';
import { useChangesSnapshot } from '~/data/hooks';
import type { Change } from '~/data/changes';
import { paths } from '~/lib/paths';
import { Button } from '~/ui/Button';
import { Card } from '~/ui/Card';
import { EmptyState } from '~/ui/States';

const SHOWN = 14;

/** The latest changes as they come; held still while somebody reads. */
export function ChangesCard() {
  const { recent } = useChangesSnapshot();
  const [held, setHeld] = useState<readonly Change[] | null>(null);
  const shown = (held ?? recent).slice(0, SHOWN);
  return (
    <Card
      title="Latest changes"
      flush
      actions={
        <>
          <Button
            size="small"
            variant="quiet"
            icon={held ? <Play aria-hidden="true" /> : <Pause aria-hidden="true" />}
            onClick={() => setHeld(held ? null : recent)}
          >
            {held ? 'Go on' : 'Pause'}
          </Button>
          <Link href={paths.history()}>History</Link>
        </>
      }
    >
      {shown.length > 0 ? (
        <ChangeList changes={shown} label="Latest changes" />
      ) : (
        <EmptyState title="Nothing has changed yet" command="onex register path/to/contracts">
          Whatever registers, is called or leased shows here at once. Register the contracts of a folder to begin:
        </EmptyState>
      )}
    </Card>
  );
}
