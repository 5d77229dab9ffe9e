import { type AnyRoute, createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { textIn } from '../shell/search-params.js';

/** The pages of the shop. */
export function shopRoutes<Parent extends AnyRoute>(parent: Parent) {
  const shop = <Path extends string>(path: Path) => ({ getParentRoute: () => parent, path });
  return [
    createRoute({
      ...shop('/shop'),
      validateSearch: (search): { q?: string } => {
        const q = textIn(search, 'q');
        return q === undefined ? {} : { q };
      },
      component: lazyRouteComponent(() => import('./catalogue-page.js'), 'CataloguePage'),
    }),
    createRoute({
      ...shop('/shop/cart'),
      component: lazyRouteComponent(() => import('./cart-page.js'), 'CartPage'),
    }),
    createRoute({
      ...shop('/shop/orders/$id'),
      component: lazyRouteComponent(() => import('./order-page.js'), 'OrderPage'),
    }),
  ] as const;
}
