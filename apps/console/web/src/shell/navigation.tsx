import { Link } from '@tanstack/react-router';
import { Icon } from '../shared/icon.js';
import { areasOf } from './areas.js';
import classes from './navigation.module.css';
import { type User } from './session.js';

/** The areas that a person may see. */
export function Navigation({ user }: { readonly user: User }) {
  return (
    <nav aria-label="Areas">
      {areasOf(user).map(({ path, label, icon }) => (
        // The router marks the area that is open with aria-current.
        <Link key={path} to={path} className={classes['area']} activeOptions={{ includeSearch: false }}>
          <Icon name={icon} />
          {label}
        </Link>
      ))}
    </nav>
  );
}
