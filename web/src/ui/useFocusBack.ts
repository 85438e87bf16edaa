import { useState } from 'react';

/**
 * For what takes the focus while it is open: a handler for its closing that gives the focus back to whatever opened it.
 *
 * To be used by a part that is there only while it is open, since the opener is who has the focus when that is drawn
 * first. Where something else took the focus meanwhile, as another page does, it keeps it.
 */
export function useFocusBack(): (event: Event) => void {
  const [opener] = useState(() => document.activeElement);
  return (event) => {
    event.preventDefault();
    if (document.activeElement !== null && document.activeElement !== document.body) return;
    const to = opener?.isConnected && opener !== document.body ? opener : document.querySelector('main');
    if (to instanceof HTMLElement) to.focus({ preventScroll: true });
  };
}
