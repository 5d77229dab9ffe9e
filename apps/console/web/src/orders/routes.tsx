import { type AnyRoute, createRoute, lazyRouteComponent } from '@tanstack/react-router';

/** The pages of orders. */
export function ordersRoutes<Parent extends AnyRoute>(parent: Parent) {
  return [
    createRoute({
      getParentRoute: () => parent,
      path: '/orders',
      component: lazyRouteComponent(() => import('./orders-page.js'), 'OrdersPage'),
    }),
  ] as const;
}
