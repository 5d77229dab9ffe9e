import { getRouteApi } from '@tanstack/react-router';
import { hasRole, useSession } from '../shell/session.js';

/** A service whose messaging the console shows. */
export type ServiceName = 'orders' | 'payments';

export const SERVICES: readonly { readonly value: ServiceName; readonly label: string }[] = [
  { value: 'orders', label: 'order-service' },
  { value: 'payments', label: 'payment-service' },
];

const route = getRouteApi('/messaging/$service');

/** The service whose pages are shown. */
export function useService(): ServiceName {
  return route.useParams().service;
}

/** Whether the signed-in person may change something here. The services check it again. */
export function useIsAdmin(): boolean {
  const { user } = useSession();
  return hasRole(user, 'admin');
}
