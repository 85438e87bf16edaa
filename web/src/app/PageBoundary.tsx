import { Component, useEffect, useRef, type ReactNode } from 'react';
import { Page } from '~/components/Page';
import type { Fault } from '~/data/errors';
import { useStreamState } from '~/data/hooks';
import { ErrorState } from '~/ui/States';
import { NotLoaded } from './routes';

interface Props {
  children: ReactNode;
  /** Has the page drawn anew. */
  onRetry: () => void;
}

/** Keeps a page that fails from taking everything around it with it. */
export class PageBoundary extends Component<Props, { error: unknown }> {
  override state = { error: null as unknown };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    return error === null ? this.props.children : <PageFault error={error} onRetry={this.props.onRetry} />;
  }
}

function PageFault({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  const isOpen = useStreamState().name === 'open';
  const isMissing = error instanceof NotLoaded;
  const waits = useRef(false);
  useEffect(() => {
    if (!isOpen) waits.current = true;
    else if (waits.current && isMissing) onRetry();
  }, [isOpen, isMissing, onRetry]);
  // A registry that answers and does not have the code has another version of it: the whole page is to be of that one.
  const retry = isMissing && !isOpen ? onRetry : () => window.location.reload();
  return (
    <Page title={isMissing ? 'This page is not there yet' : 'This page failed'}>
      <ErrorState fault={isMissing ? MISSING : failed(error)} onRetry={retry} />
    </Page>
  );
}

const MISSING: Fault = {
  code: 'UNREACHABLE',
  message: 'The page could not be loaded.',
  hint: 'It comes from the registry, and is tried again by itself when a lost connection is back. A registry of another version has other pages: then trying again loads everything anew.',
  details: null,
  retryable: true,
};

function failed(error: unknown): Fault {
  return {
    code: 'PAGE_FAILED',
    message: error instanceof Error ? error.message : String(error),
    hint: 'Nothing was changed by it. The browser’s console has the place in the code, which is worth a report.',
    details: null,
    retryable: false,
  };
}
