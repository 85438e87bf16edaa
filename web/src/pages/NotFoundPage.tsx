import { Compass } from 'lucide-react';
import { Link } from 'wouter';
import { Page } from '~/components/Page';
import { EmptyState } from '~/ui/States';

export default function NotFoundPage() {
  return (
    <Page title="No such page">
      <EmptyState icon={<Compass />} title="There is nothing at this address">
        It may have been mistyped. Press <kbd>Ctrl</kbd> <kbd>K</kbd> to search, or go to the <Link href="/">overview</Link>.
      </EmptyState>
    </Page>
  );
}
