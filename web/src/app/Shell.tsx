import { Suspense, useCallback, useEffect, useRef, useState } from 'react';
import { Route, Switch, useLocation } from 'wouter';
import { SkeletonLines } from '~/ui/States';
import { ConnectionBanner } from './ConnectionState';
import { PhoneBar, PhoneHead, SideNavigation } from './Navigation';
import { PageBoundary } from './PageBoundary';
import { Palette } from './Palette';
import { NotFoundPage, routes } from './routes';
import styles from './Shell.module.css';
import { Start } from './Start';

export function Shell() {
  const [searching, setSearching] = useState(false);
  const [attempt, setAttempt] = useState(0);
  const retry = useCallback(() => setAttempt((before) => before + 1), []);
  const main = useRef<HTMLElement>(null);
  const [location] = useLocation();
  useFocusOnMove(location, main);
  useShortcut(() => setSearching(true));
  const search = () => setSearching(true);
  return (
    <div className={styles.shell}>
      <a className={styles.skip} href="#main">
        Skip to the content
      </a>
      <SideNavigation onSearch={search} />
      <PhoneHead onSearch={search} />
      <main id="main" ref={main} tabIndex={-1} className={styles.main}>
        <ConnectionBanner />
        <Start>
          <PageBoundary key={`${location} ${attempt}`} onRetry={retry}>
            <Suspense fallback={<SkeletonLines label="Loading the page" />}>
              <Switch>
                {routes.map(({ path, page: Page }) => (
                  <Route key={path} path={path}>
                    {/* Another thing of the same kind is another page: nothing of the one before stays. */}
                    {(params) => <Page key={location} params={params} />}
                  </Route>
                ))}
                <Route>{() => <NotFoundPage />}</Route>
              </Switch>
            </Suspense>
          </PageBoundary>
        </Start>
      </main>
      <PhoneBar />
      <Palette open={searching} onClose={() => setSearching(false)} />
    </div>
  );
}

/** Whoever goes to another page by keyboard or hears it goes on reading there, not behind the link. */
function useFocusOnMove(location: string, main: React.RefObject<HTMLElement | null>) {
  const before = useRef(location);
  useEffect(() => {
    if (before.current === location) return;
    before.current = location;
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [location, main]);
}

function useShortcut(open: () => void) {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const inField = event.target instanceof Element && event.target.closest('input, textarea, select, [contenteditable]') !== null;
      const asked = ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') || (event.key === '/' && !inField);
      if (!asked) return;
      event.preventDefault();
      open();
    };
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, [open]);
}
