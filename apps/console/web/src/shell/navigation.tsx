import { NavLink } from '@mantine/core';
import { Link, useLocation } from '@tanstack/react-router';
import { Icon } from '../shared/icon.js';
import { areasOf } from './areas.js';
import { type User } from './session.js';

/** The areas that a person may see. */
export function Navigation({ user }: { readonly user: User }) {
  const pathname = useLocation({ select: (location) => location.pathname });
  return (
    <nav aria-label="Areas">
      {areasOf(user).map(({ path, label, icon }) => {
        const isActive = pathname === path || pathname.startsWith(`${path}/`);
        return (
          <NavLink
            key={path}
            component={Link}
            to={path}
            label={label}
            leftSection={<Icon name={icon} />}
            active={isActive}
            aria-current={isActive ? 'page' : undefined}
          />
        );
      })}
    </nav>
  );
}
