import { openApiDocument } from '@twinbox/api-kit';
import { TokenIssuer } from '@twinbox/api-kit/testing';
import { type InProcessService } from './in-process.js';

const KINDS = ['nobody', 'refused', 'its customer', 'another customer', 'operator', 'admin'] as const;

/** The status with which a route answers each kind of caller. `refused` are those who cannot prove who they are. */
export type Statuses = Readonly<Record<(typeof KINDS)[number], number>>;

export const statuses = (
  ...[nobody, own, another, operator, admin]: [number, number, number, number, number]
): Statuses => ({
  nobody,
  refused: 401,
  'its customer': own,
  'another customer': another,
  operator,
  admin,
});

/** Of a route that does not identify its callers. */
export const anyone = (status: number): Statuses => ({
  ...statuses(status, status, status, status, status),
  refused: status,
});

export const PUBLIC = anyone(200);
export const EVERYBODY = statuses(200, 200, 200, 200, 200);
export const IDENTIFIED = statuses(401, 200, 200, 200, 200);
export const WHO_MAY_SEE_IT = statuses(401, 200, 404, 200, 200);
export const ITS_CUSTOMER = statuses(401, 200, 404, 403, 403);
export const OPERATORS = statuses(401, 403, 403, 200, 200);

/** The routes of health checks and metrics, which both services have. Anyone may call those for operators with AUTH_MODE=dev. */
export const HEALTH_ROUTES = ['GET /health/live', 'GET /health/ready'] as const;
const MANAGEMENT_ROUTES = ['GET /health', 'GET /health/messaging', 'GET /metrics'] as const;

/** Returns the routes for operators with who may call them in this mode. */
export function managementRoutes(authMode: CallersOfMode['authMode']): (readonly [string, Statuses])[] {
  return MANAGEMENT_ROUTES.map((route) => [route, authMode === 'dev' ? PUBLIC : OPERATORS] as const);
}

/** A caller of a test. `ada` owns what the route is about. */
export interface TestCaller {
  readonly name: string;
  readonly kind: keyof Statuses;
  readonly headers: () => Promise<Record<string, string>>;
}

/** Callers of every kind for an AUTH_MODE. */
export interface CallersOfMode {
  readonly authMode: 'dev' | 'jwt';
  readonly callers: readonly TestCaller[];
  /** Starts what the service needs, and returns its variables. */
  readonly start: () => Promise<Record<string, string>>;
  readonly stop: () => Promise<void>;
}

const user = (userId: string, roles?: string) => ({ 'x-user-id': userId, ...(roles && { 'x-roles': roles }) });

const DEV: CallersOfMode = {
  authMode: 'dev',
  callers: (
    [
      ['nobody', {}],
      ['refused', user('ada', 'king')],
      ['its customer', user('ada')],
      ['another customer', user('grace')],
      ['operator', user('olga', 'operator')],
      ['admin', user('root', 'admin')],
    ] as const
  ).map(([kind, headers]) => ({ name: kind, kind, headers: () => Promise.resolve(headers) })),
  start: () => Promise.resolve({ AUTH_MODE: 'dev' }),
  stop: () => Promise.resolve(),
};

let issuer: TokenIssuer;
const bearer = async (...fields: Parameters<TokenIssuer['token']>) => ({
  authorization: `Bearer ${await issuer.token(...fields)}`,
});
const granted = (sub: string, role: string) => bearer({ claims: { sub, roles: [role] } });

const JWT: CallersOfMode = {
  authMode: 'jwt',
  callers: [
    { name: 'no token', kind: 'nobody', headers: () => Promise.resolve(user('ada', 'admin')) },
    { name: 'an expired token', kind: 'refused', headers: () => bearer({ expiresIn: -3600 }) },
    { name: 'a token for another audience', kind: 'refused', headers: () => bearer({ claims: { aud: 'another' } }) },
    { name: 'a token of another issuer', kind: 'refused', headers: () => bearer({ claims: { iss: 'https://a.b' } }) },
    { name: 'a forged token', kind: 'refused', headers: () => bearer({ forged: true }) },
    { name: 'its customer', kind: 'its customer', headers: () => granted('ada', 'customer') },
    { name: 'another customer', kind: 'another customer', headers: () => granted('grace', 'customer') },
    { name: 'operator', kind: 'operator', headers: () => granted('olga', 'operator') },
    { name: 'admin', kind: 'admin', headers: () => granted('root', 'admin') },
  ],
  async start() {
    issuer = await TokenIssuer.start();
    return issuer.env;
  },
  stop: () => issuer.stop(),
};

export const AUTH_MODES = [DEV, JWT];

/** Returns the callers that the OpenAPI document permits on each route, such as `GET /orders`. */
export function documentedSecurity({ app, openApi }: InProcessService): Record<string, unknown> {
  const methods = ['get', 'post', 'put', 'patch', 'delete'] as const;
  const documented = Object.entries(openApiDocument(app, openApi).paths).flatMap(([path, operations]) =>
    methods.flatMap((method) => {
      const operation = operations[method];
      return operation ? [[`${method.toUpperCase()} ${path}`, operation.security] as const] : [];
    }),
  );
  return Object.fromEntries(documented);
}

/** Returns what the OpenAPI document must say of a route that answers with these statuses. */
export function securityOf(expected: Statuses, authMode: CallersOfMode['authMode']): object[] {
  if (expected.refused !== 401) return [];
  const isForOperators = expected['its customer'] === 403;
  const role = expected.operator === 403 ? 'admin' : 'operator';
  const anonymous = expected.nobody === 401 ? [] : [{}];
  if (authMode === 'jwt') return [...anonymous, { token: isForOperators ? [role] : [] }];
  const both = { user: [], roles: [] };
  return isForOperators ? [both] : [...anonymous, { user: [] }, both];
}
