import { useParams } from '@tanstack/react-router';
import { hasRole, useSession } from '../shell/session.js';

/** A service whose messaging the console shows. */
export type ServiceName = 'orders' | 'payments';

export const SERVICES: readonly { readonly value: ServiceName; readonly label: string }[] = [
  { value: 'orders', label: 'order-service' },
  { value: 'payments', label: 'payment-service' },
];

/** The service whose pages are shown. */
export function useService(): ServiceName {
  const { service } = useParams({ strict: false });
  if (service === undefined) throw new Error('This page is not one of a service.');
  return service;
}

/** Whether the signed-in person may change something here. The services check it again. */
export function useIsAdmin(): boolean {
  const { user } = useSession();
  return hasRole(user, 'admin');
}
