import { type AnyRoute, createRoute, lazyRouteComponent, notFound, redirect } from '@tanstack/react-router';
import { auditSearch, jobsSearch, lettersSearch, operationsSearch, parkedSearch } from './search.js';
import { type ServiceName, SERVICES } from './service.js';

/** The pages of messaging. Each is loaded when somebody opens it. */
export function messagingRoutes<Parent extends AnyRoute>(parent: Parent) {
  const start = createRoute({
    getParentRoute: () => parent,
    path: '/messaging',
    beforeLoad: () => {
      throw redirect({ to: '/messaging/$service', params: { service: 'orders' } });
    },
  });
  const page = <Path extends string>(path: Path) => ({
    getParentRoute: () => parent,
    path: `/messaging/$service${path}` as const,
    params: { parse: ({ service }: { service: string }) => ({ service: serviceOf(service) }) },
  });
  return [
    start,
    createRoute({ ...page(''), component: lazyRouteComponent(() => import('./flow/flow-page.js'), 'FlowPage') }),
    createRoute({
      ...page('/dead-letters'),
      validateSearch: lettersSearch,
      component: lazyRouteComponent(() => import('./dead/letters-page.js'), 'LettersPage'),
    }),
    createRoute({
      ...page('/parked'),
      validateSearch: parkedSearch,
      component: lazyRouteComponent(() => import('./parked/parked-page.js'), 'ParkedPage'),
    }),
    createRoute({
      ...page('/dead-jobs'),
      validateSearch: jobsSearch,
      component: lazyRouteComponent(() => import('./dead/jobs-page.js'), 'JobsPage'),
    }),
    createRoute({
      ...page('/operations'),
      validateSearch: operationsSearch,
      component: lazyRouteComponent(() => import('./operations/operations-page.js'), 'OperationsPage'),
    }),
    createRoute({
      getParentRoute: () => parent,
      path: '/messaging/$service/operations/$id',
      params: { parse: ({ service, id }: { service: string; id: string }) => ({ service: serviceOf(service), id }) },
      component: lazyRouteComponent(() => import('./operations/operation-page.js'), 'OperationPage'),
    }),
    createRoute({
      ...page('/replay'),
      component: lazyRouteComponent(() => import('./replay/replay-page.js'), 'ReplayPage'),
    }),
    createRoute({
      ...page('/audit'),
      validateSearch: auditSearch,
      component: lazyRouteComponent(() => import('./audit/audit-page.js'), 'AuditPage'),
    }),
  ] as const;
}

function serviceOf(name: string): ServiceName {
  const found = SERVICES.find(({ value }) => value === name);
  if (!found) throw notFound();
  return found.value;
}
