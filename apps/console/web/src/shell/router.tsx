import { type QueryClient } from '@tanstack/react-query';
import { createRootRouteWithContext, createRoute, createRouter, redirect } from '@tanstack/react-router';
import { messagingRoutes } from '../messaging/routes.js';
import { ordersRoutes } from '../orders/routes.js';
import { paymentsRoutes } from '../payments/routes.js';
import { shopRoutes } from '../shop/routes.js';
import { areasOf } from './areas.js';
import { PageError } from './page-error.js';
import { PageNotFound } from './page-not-found.js';
import { parseSearch, stringifySearch, textIn } from './search-params.js';
import { sessionQuery } from './session.js';
import { Shell } from './shell.js';
import { SignInPage } from './sign-in-page.js';
import { Loading } from '../shared/states.js';

interface Context {
  readonly queries: QueryClient;
}

const root = createRootRouteWithContext<Context>()({
  beforeLoad: async ({ context, location }) => {
    const session = await context.queries.ensureQueryData(sessionQuery);
    if (session.signedIn || location.pathname === '/sign-in') return;
    throw redirect({ to: '/sign-in', search: { next: location.href } });
  },
  component: Shell,
  errorComponent: PageError,
  notFoundComponent: PageNotFound,
});

const start = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: async ({ context }) => {
    const session = await context.queries.ensureQueryData(sessionQuery);
    const [first] = session.signedIn ? areasOf(session.user) : [];
    if (first) throw redirect({ to: first.path, replace: true });
  },
  component: PageNotFound,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search): { next?: string; error?: string } => {
    const [next, error] = [textIn(search, 'next'), textIn(search, 'error')];
    return { ...(next?.startsWith('/') && !next.startsWith('//') && { next }), ...(error !== undefined && { error }) };
  },
  component: SignInPage,
});

const routeTree = root.addChildren([
  start,
  signIn,
  ...paymentsRoutes(root),
  ...ordersRoutes(root),
  ...messagingRoutes(root),
  ...shopRoutes(root),
]);

/** Creates the router of all pages. Each area adds its own routes, whose pages are loaded when somebody opens them. */
export function createConsoleRouter(queries: QueryClient) {
  return createRouter({
    routeTree,
    context: { queries },
    parseSearch,
    stringifySearch,
    defaultPreload: 'intent',
    defaultPendingMs: 300,
    defaultPendingComponent: Loading,
    defaultErrorComponent: PageError,
    defaultNotFoundComponent: PageNotFound,
    scrollRestoration: true,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}
