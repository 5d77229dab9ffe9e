import { type Role } from '@twinbox/client';
import { type IconName } from '../shared/icon.js';
import { hasRole, type User } from './session.js';

/** A part of the console, and the role that may see it. Without one, everybody may. */
export interface Area {
  readonly path: '/payments' | '/orders' | '/messaging' | '/shop';
  readonly label: string;
  readonly icon: IconName;
  readonly role?: Role;
}

const AREAS: readonly Area[] = [
  { path: '/payments', label: 'Payments', icon: 'payments', role: 'operator' },
  { path: '/orders', label: 'Orders', icon: 'orders', role: 'operator' },
  { path: '/messaging', label: 'Messaging', icon: 'messaging', role: 'operator' },
  { path: '/shop', label: 'Shop', icon: 'shop' },
];

/** The areas that a person may see, the one to start with first. */
export function areasOf(user: User): readonly Area[] {
  return AREAS.filter(({ role }) => role === undefined || hasRole(user, role));
}

/** The role that a path requires and the person does not have. */
export function missingRole(user: User, pathname: string): Role | undefined {
  const area = AREAS.find(({ path }) => pathname === path || pathname.startsWith(`${path}/`));
  return area?.role && !hasRole(user, area.role) ? area.role : undefined;
}
