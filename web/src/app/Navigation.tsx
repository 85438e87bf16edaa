import { Ellipsis, Search } from 'lucide-react';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import { classes } from '~/lib/classes';
import { IconButton } from '~/ui/Button';
import { Dialog } from '~/ui/Dialog';
import { ConnectionLine } from './ConnectionState';
import { Logo } from './Logo';
import styles from './Navigation.module.css';
import { places, type Place } from './routes';
import { ThemeSwitch } from './ThemeSwitch';

/** On wide screens at the left; on middling ones symbols alone. */
export function SideNavigation({ onSearch }: { onSearch: () => void }) {
  return (
    <header className={styles.side}>
      <Link href="/" className={styles.brand} aria-label="onex: overview">
        <Logo />
        <span className={styles.word}>onex</span>
      </Link>
      <button type="button" className={styles.search} onClick={onSearch} aria-keyshortcuts="Control+K">
        <Search aria-hidden="true" />
        <span className={styles.word}>Search</span>
        <kbd className={styles.word} aria-hidden="true">
          Ctrl K
        </kbd>
      </button>
      <nav aria-label="Main">
        <ul className={styles.places}>
          {places.map((place) => (
            <li key={place.path}>
              <PlaceLink place={place} />
            </li>
          ))}
        </ul>
      </nav>
      <div className={styles.foot}>
        <ConnectionLine />
        <ThemeSwitch />
      </div>
    </header>
  );
}

function PlaceLink({ place, onGo }: { place: Place; onGo?: () => void }) {
  const [location] = useLocation();
  const here = place.path === '/' ? location === '/' : location === place.path || location.startsWith(`${place.path}/`);
  const Icon = place.icon;
  const content = (
    <>
      <Icon aria-hidden="true" />
      <span className={styles.word}>{place.label}</span>
    </>
  );
  const shared = { className: classes(styles.place, here && styles.here), 'aria-current': here ? ('page' as const) : undefined, title: place.label, onClick: onGo };
  if (place.leaves) {
    return (
      <a href={place.path} {...shared}>
        {content}
      </a>
    );
  }
  return (
    <Link href={place.path} {...shared}>
      {content}
    </Link>
  );
}

export function PhoneHead({ onSearch }: { onSearch: () => void }) {
  return (
    <header className={styles.phoneHead}>
      <Link href="/" className={styles.brand} aria-label="onex: overview">
        <Logo size={22} />
        <span>onex</span>
      </Link>
      <ConnectionLine short />
      <IconButton label="Search" icon={<Search aria-hidden="true" />} onClick={onSearch} />
    </header>
  );
}

/** On phones at the bottom, within the thumb's reach. */
export function PhoneBar() {
  const [more, setMore] = useState(false);
  const rest = places.filter((place) => !place.onPhone);
  const [location] = useLocation();
  const inRest = rest.some((place) => location.startsWith(place.path));
  return (
    <nav aria-label="Main" className={styles.phoneBar}>
      {places
        .filter((place) => place.onPhone)
        .map((place) => (
          <PlaceLink key={place.path} place={place} />
        ))}
      <button type="button" className={classes(styles.place, inRest && styles.here)} onClick={() => setMore(true)} aria-haspopup="dialog">
        <Ellipsis aria-hidden="true" />
        <span className={styles.word}>More</span>
      </button>
      <Dialog open={more} onClose={() => setMore(false)} title="More">
        <ul className={styles.more}>
          {rest.map((place) => (
            <li key={place.path}>
              <PlaceLink place={place} onGo={() => setMore(false)} />
            </li>
          ))}
        </ul>
        <ThemeSwitch />
      </Dialog>
    </nav>
  );
}
