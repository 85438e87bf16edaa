import styles from './Panel.module.css';

/** Chooses a node in the picture. */
export function NodeButton({ name, onChoose }: { name: string; onChoose: () => void }) {
  return (
    <button type="button" className={styles.choose} title={name} onClick={onChoose}>
      {name}
    </button>
  );
}
