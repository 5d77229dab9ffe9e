import type { Role } from '@twinbox/api-kit/edge';
import type { Credentials } from './sessions.js';

/** A user that AUTH_MODE=dev offers. */
export interface DevUser {
  readonly id: string;
  readonly label: string;
  readonly roles: readonly Role[];
}

/** The customers of the demo orders, and the staff. */
export const DEV_USERS: readonly DevUser[] = [
  { id: 'demo', label: 'Demo customer', roles: ['customer'] },
  { id: 'ada', label: 'Ada, a customer', roles: ['customer'] },
  { id: 'grace', label: 'Grace, a customer', roles: ['customer'] },
  { id: 'linus', label: 'Linus, a customer', roles: ['customer'] },
  { id: 'margaret', label: 'Margaret, a customer', roles: ['customer'] },
  { id: 'ops', label: 'Payment operator', roles: ['operator'] },
  { id: 'admin', label: 'Administrator', roles: ['admin'] },
];

/** The headers that services with AUTH_MODE=dev trust. */
export function devHeaders({ id, roles }: Pick<DevUser, 'id' | 'roles'>): Record<string, string> {
  return { 'x-user-id': id, 'x-roles': roles.join(',') };
}

export function devCredentials(user: DevUser): Credentials {
  const headers = devHeaders(user);
  return {
    user: { id: user.id, name: user.label, roles: user.roles },
    headers: () => Promise.resolve(headers),
    signOut: () => Promise.resolve(undefined),
  };
}
