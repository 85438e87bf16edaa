import { Monitor, Moon, Sun } from 'lucide-react';
import { ToggleGroup } from 'radix-ui';
import { useTheme, type Theme } from './theme';
import styles from './ThemeSwitch.module.css';

const themes = [
  { value: 'system', label: 'As the system', icon: Monitor },
  { value: 'light', label: 'Light', icon: Sun },
  { value: 'dark', label: 'Dark', icon: Moon },
] as const;

export function ThemeSwitch() {
  const [theme, choose] = useTheme();
  return (
    <ToggleGroup.Root type="single" value={theme} onValueChange={(value) => value && choose(value as Theme)} className={styles.switch} aria-label="Theme">
      {themes.map(({ value, label, icon: Icon }) => (
        <ToggleGroup.Item key={value} value={value} className={styles.item} aria-label={label} title={label}>
          <Icon aria-hidden="true" />
        </ToggleGroup.Item>
      ))}
    </ToggleGroup.Root>
  );
}
