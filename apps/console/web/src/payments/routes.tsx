import { type AnyRoute, createRoute, lazyRouteComponent } from '@tanstack/react-router';

/** The pages of payments. */
export function paymentsRoutes<Parent extends AnyRoute>(parent: Parent) {
  return [
    createRoute({
      getParentRoute: () => parent,
      path: '/payments',
      component: lazyRouteComponent(() => import('./payments-page.js'), 'PaymentsPage'),
    }),
  ] as const;
}
