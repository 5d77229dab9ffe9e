import { randomUUID } from 'node:crypto';
import { until } from '@twinbox/messaging/testing';
import { QUOTAS_FOR_LOAD } from '@twinbox/tools';
import {
  ADMIN_ROUTES,
  type Answer,
  answersOfAdminRoutes,
  AUTH_MODES,
  documentedSecurity,
  expectCommittedDocument,
  expectedOfAdminRoutes,
  EVERYBODY,
  expectProblem,
  HEALTH_ROUTES,
  IDENTIFIED,
  ITS_CUSTOMER,
  managementRoutes,
  OPERATORS,
  PUBLIC,
  securityOf,
  type Statuses,
  statuses,
  type TestCaller,
  WHO_MAY_SEE_IT,
} from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { aCart, aLine, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

type Order = 'cart' | 'placed' | 'paid';

/** Mirrors the table of docs/api.md. `order` is the state of the order before the call. */
const ROUTES: readonly (readonly [string, Statuses, { readonly body?: object; readonly order?: Order }])[] = [
  ...HEALTH_ROUTES.map((route) => [route, PUBLIC, {}] as const),
  ['GET /products', EVERYBODY, {}],
  ['GET /products/{productId}', EVERYBODY, {}],
  ['PUT /products/{productId}', OPERATORS, { body: { name: 'Tea', price: 450, currency: 'EUR', stock: 1_000_000 } }],
  ['POST /orders', statuses(401, 201, 201, 201, 201), { body: aCart() }],
  ['GET /orders', IDENTIFIED, {}],
  ['GET /orders/events', IDENTIFIED, {}],
  ['POST /orders/events/tickets', statuses(401, 201, 201, 201, 201), {}],
  ['GET /orders/{orderId}', WHO_MAY_SEE_IT, {}],
  ['GET /orders/{orderId}/timeline', WHO_MAY_SEE_IT, {}],
  ['GET /orders/{orderId}/events', WHO_MAY_SEE_IT, {}],
  ['POST /orders/{orderId}/items', ITS_CUSTOMER, { body: aLine() }],
  ['PATCH /orders/{orderId}/items/{productId}', ITS_CUSTOMER, { body: { quantity: 1 } }],
  ['DELETE /orders/{orderId}/items/{productId}', ITS_CUSTOMER, {}],
  ['POST /orders/{orderId}/place', ITS_CUSTOMER, {}],
  ['POST /orders/{orderId}/cancel', WHO_MAY_SEE_IT, { body: { reason: 'no more' }, order: 'placed' }],
  ['POST /orders/{orderId}/finish', OPERATORS, { order: 'paid' }],
];

/** A stream of events does not end, so only its headers are requested. */
async function statusOf(
  service: OrderServiceHarness,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: object | undefined,
) {
  if (!path.endsWith('/events')) return (await service.caller(headers).send(method, path, body)).status;
  return (await fetch(new URL(path, service.url), { method: 'HEAD', headers })).status;
}

describe.each(AUTH_MODES)('with AUTH_MODE=$authMode', ({ authMode, callers, start, stop }) => {
  const routes: typeof ROUTES = [...ROUTES, ...managementRoutes(authMode).map((entry) => [...entry, {}] as const)];
  const documented = routes.filter(([route]) => route !== 'GET /metrics');
  let service: OrderServiceHarness;
  beforeAll(async () => {
    service = await startOrderService({ ...(await start()), ...QUOTAS_FOR_LOAD });
    await until('health answers operators with a 200', isHealthy);
  });
  afterAll(async () => {
    await service.stop();
    await stop();
  });

  async function isHealthy(): Promise<boolean> {
    const operator = callers.find(({ kind }) => kind === 'operator');
    return (await service.caller((await operator?.headers()) ?? {}).get('/health')).status === 200;
  }

  /** An order of ada's. */
  async function anOrder(state: Order): Promise<string> {
    const ada = callers.find(({ kind }) => kind === 'its customer');
    const { body } = await service.caller((await ada?.headers()) ?? {}).post('/orders', {
      ...aCart(),
      draft: state === 'cart',
    });
    if (state === 'paid')
      await service.receives({ type: 'PaymentSucceeded', data: { orderId: body.id, paymentRequestId: uuidv7() } });
    return String(body.id);
  }

  describe.each(routes)('P10 %s', (route, expected, { body, order = 'cart' }) => {
    it.each(callers)('is open to exactly the documented callers: $name', async ({ kind, headers }: TestCaller) => {
      const orderId = await anOrder(order);
      const [method = '', template = ''] = route.split(' ');
      const path = template.replace('{orderId}', orderId).replace('{productId}', 'tea');

      expect(await statusOf(service, method, path, await headers(), body)).toBe(expected[kind]);
    });
  });

  it.each(callers)('P10 the administration is open to exactly the documented callers: $name', async (caller) => {
    expect(await answersOfAdminRoutes(service, caller)).toEqual(expectedOfAdminRoutes(caller));
  });

  it('the OpenAPI document is the committed one, except for what is documented to differ', () => {
    expectCommittedDocument(service, 'orders', authMode);
  });

  it('the OpenAPI document states for each route who may call it', () => {
    expect(documentedSecurity(service)).toEqual(
      Object.fromEntries(
        [...documented, ...ADMIN_ROUTES].map(([route, expected]) => [route, securityOf(expected, authMode)]),
      ),
    );
  });
});

describe('products without a caller', () => {
  let service: OrderServiceHarness;
  beforeAll(async () => {
    service = await startOrderService();
  });
  afterAll(() => service.stop());

  it('are the same as for a customer', async () => {
    const [nobody, customer] = [service.caller({}), service.aCustomer()];

    for (const path of ['/products?limit=3', '/products?q=tea', '/products/tea']) {
      const shown = await nobody.get(path);
      expect(shown).toMatchObject({ status: 200, body: (await customer.get(path)).body });
      expect(JSON.stringify(shown.body)).not.toContain('reserved');
    }
  });

  it('come in pages, and any caller can read the next page', async () => {
    const prefix = `n${randomUUID().slice(0, 8)}`;
    for (const n of [1, 2, 3]) await service.aProduct({ id: `${prefix}-${n}` });

    const { body } = await service.caller({}).get(`/products?limit=2&q=${prefix}`);
    const next = `/products?limit=2&q=${prefix}&cursor=${body.nextCursor}`;
    const rest = [await service.caller({}).get(next), await service.aCustomer().get(next)];

    for (const page of rest)
      expect(page).toMatchObject({ status: 200, body: { items: [{ id: `${prefix}-3` }], nextCursor: null } });
  });

  it('are rejected as for any caller if they do not exist or the request is invalid', async () => {
    const { get } = service.caller({});

    expectProblem(await get('/products/unicorn'), 404, 'product-not-found');
    expectProblem(await get('/products/No'), 400, 'validation');
    expectProblem(await get('/products?limit=0'), 400, 'validation');
  });

  it.each<[string, Record<string, string>]>([
    ['an empty user', { 'x-user-id': '' }],
    ['a blank user', { 'x-user-id': ' ' }],
    ['a user of 256 characters', { 'x-user-id': 'x'.repeat(256) }],
    ['an unknown role', { 'x-user-id': 'ada', 'x-roles': 'king' }],
    ['roles without a user', { 'x-roles': 'operator' }],
    ['empty roles without a user', { 'x-roles': '' }],
  ])('P10 are denied to %s, as on any other route', async (_, headers) => {
    const { get } = service.caller(headers);

    const answers: Answer[] = [await get('/products'), await get('/products/tea'), await get('/orders')];
    for (const answer of answers) expectProblem(answer, 401, 'caller-unknown');
  });
});
