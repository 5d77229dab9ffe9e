import { type AnyRoute, createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { paymentsSearch } from './payments-search.js';

/** The pages of payments. One payment keeps the filters of the list from which it was opened, so that its neighbours are known. */
export function paymentsRoutes<Parent extends AnyRoute>(parent: Parent) {
  return [
    createRoute({
      getParentRoute: () => parent,
      path: '/payments',
      validateSearch: paymentsSearch,
      component: lazyRouteComponent(() => import('./payments-page.js'), 'PaymentsPage'),
    }),
    createRoute({
      getParentRoute: () => parent,
      path: '/payments/$id',
      validateSearch: paymentsSearch,
      component: lazyRouteComponent(() => import('./payment-page.js'), 'PaymentPage'),
    }),
  ] as const;
}
