import { Tabs as Primitive } from 'radix-ui';
import type { ReactNode } from 'react';
import styles from './Tabs.module.css';

export interface Tab {
  value: string;
  label: ReactNode;
  content: ReactNode;
}

/** Parts of a page of which one shows. Keep `value` in the address with useUrlState, so that it can be linked. */
export function Tabs({ value, onChange, tabs, label }: { value: string; onChange: (value: string) => void; tabs: Tab[]; label: string }) {
  const shown = tabs.some((tab) => tab.value === value) ? value : tabs[0]?.value;
  return (
    <Primitive.Root value={shown} onValueChange={onChange} className={styles.root}>
      <Primitive.List className={styles.list} aria-label={label}>
        {tabs.map((tab) => (
          <Primitive.Trigger key={tab.value} value={tab.value} className={styles.tab}>
            {tab.label}
          </Primitive.Trigger>
        ))}
      </Primitive.List>
      {tabs.map((tab) => (
        <Primitive.Content key={tab.value} value={tab.value} className={styles.content}>
          {tab.content}
        </Primitive.Content>
      ))}
    </Primitive.Root>
  );
}
