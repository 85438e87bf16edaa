/**
 * Mends the roles of GraphiQL's tabs: a `tab` with a button for itself and another that closes it is nested controls,
 * which screen readers do not reach. As a list of buttons, of which one is the current one, they are what they look like.
 */
export function mendTabs(root: HTMLElement) {
  const mend = () => {
    for (const list of root.querySelectorAll('.graphiql-tabs[role="tablist"]')) list.setAttribute('role', 'list');
    for (const item of root.querySelectorAll('.graphiql-tab')) {
      if (item.getAttribute('role') === 'tab') item.setAttribute('role', 'listitem');
      const selected = item.getAttribute('aria-selected');
      if (selected === null) continue;
      item.removeAttribute('aria-selected');
      item.querySelector('.graphiql-tab-button')?.setAttribute('aria-current', selected);
    }
  };
  new MutationObserver(mend).observe(root, { subtree: true, childList: true, attributes: true, attributeFilter: ['role', 'aria-selected'] });
}
