import { type AnyRoute, createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { ordersSearch } from './orders-search.js';

/** The pages of orders. */
export function ordersRoutes<Parent extends AnyRoute>(parent: Parent) {
  return [
    createRoute({
      getParentRoute: () => parent,
      path: '/orders',
      validateSearch: ordersSearch,
      component: lazyRouteComponent(() => import('./orders-page.js'), 'OrdersPage'),
    }),
    createRoute({
      getParentRoute: () => parent,
      path: '/orders/stuck',
      component: lazyRouteComponent(() => import('./stuck/stuck-page.js'), 'StuckPage'),
    }),
    createRoute({
      getParentRoute: () => parent,
      path: '/orders/$id',
      component: lazyRouteComponent(() => import('./order-page.js'), 'OrderPage'),
    }),
  ] as const;
}
