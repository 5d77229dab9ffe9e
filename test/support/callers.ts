import { openApiDocument } from '@twinbox/api-kit';
import { type InProcessService } from './in-process.js';

/** Callers of every kind. A test lets `ada` own what the route is about. */
export const CALLERS = {
  nobody: {},
  'its customer': { 'x-user-id': 'ada' },
  'another customer': { 'x-user-id': 'grace' },
  operator: { 'x-user-id': 'olga', 'x-roles': 'operator' },
  admin: { 'x-user-id': 'root', 'x-roles': 'admin' },
};

/** The status with which a route answers each caller. */
export type Statuses = Readonly<Record<keyof typeof CALLERS, number>>;

export const statuses = (
  ...[nobody, own, another, operator, admin]: [number, number, number, number, number]
): Statuses => ({
  nobody,
  'its customer': own,
  'another customer': another,
  operator,
  admin,
});

export const EVERYBODY = statuses(200, 200, 200, 200, 200);
export const IDENTIFIED = statuses(401, 200, 200, 200, 200);
export const WHO_MAY_SEE_IT = statuses(401, 200, 404, 200, 200);
export const ITS_CUSTOMER = statuses(401, 200, 404, 403, 403);
export const OPERATORS = statuses(401, 403, 403, 200, 200);

/** Returns the callers that the OpenAPI document permits on each route, such as `GET /orders`, except on health checks, which are public. */
export function documentedSecurity({ app, openApi }: InProcessService): Record<string, unknown> {
  const methods = ['get', 'post', 'put', 'patch', 'delete'] as const;
  const documented = Object.entries(openApiDocument(app, openApi).paths).flatMap(([path, operations]) =>
    methods.flatMap((method) => {
      const operation = operations[method];
      if (!operation || path.startsWith('/health')) return [];
      return [[`${method.toUpperCase()} ${path}`, operation.security] as const];
    }),
  );
  return Object.fromEntries(documented);
}

/** Returns what the OpenAPI document must say of a route that answers with these statuses. */
export function securityOf(expected: Statuses): object[] {
  const user = { user: [] };
  const both = { user: [], roles: [] };
  if (expected.nobody !== 401) return [{}, user, both];
  return expected['its customer'] === 403 ? [both] : [user, both];
}
