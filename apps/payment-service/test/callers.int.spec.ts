import { until } from '@twinbox/messaging/testing';
import {
  ADMIN_ROUTES,
  answersOfAdminRoutes,
  anyone,
  AUTH_MODES,
  documentedSecurity,
  expectCommittedDocument,
  expectedOfAdminRoutes,
  HEALTH_ROUTES,
  IDENTIFIED,
  managementRoutes,
  OPERATORS,
  PUBLIC,
  securityOf,
  type Statuses,
  type TestCaller,
  WHO_MAY_SEE_IT,
} from '@twinbox/test-support';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

/** The table in docs/api.md. */
const ROUTES: readonly (readonly [string, Statuses, object | undefined])[] = [
  ...HEALTH_ROUTES.map((route) => [route, PUBLIC, undefined] as const),
  ['GET /payment-requests', IDENTIFIED, undefined],
  ['GET /payment-requests/{paymentRequestId}', WHO_MAY_SEE_IT, undefined],
  ['GET /payment-requests/{paymentRequestId}/timeline', WHO_MAY_SEE_IT, undefined],
  ['POST /payment-requests/{paymentRequestId}/succeed', OPERATORS, undefined],
  ['POST /payment-requests/{paymentRequestId}/fail', OPERATORS, { reason: 'declined' }],
  // No refund is due, but an operator may call it.
  ['POST /payment-requests/{paymentRequestId}/refunded', { ...OPERATORS, operator: 409, admin: 409 }, undefined],
  // Only the provider's signature counts, and the service has no secret to check it.
  ['POST /webhooks/payments', anyone(503), undefined],
];

describe.each(AUTH_MODES)('with AUTH_MODE=$authMode', ({ authMode, callers, start, stop }) => {
  const routes = [...ROUTES, ...managementRoutes(authMode).map((entry) => [...entry, undefined] as const)];
  const documented = routes.filter(([route]) => route !== 'GET /metrics');
  let service: PaymentServiceHarness;
  beforeAll(async () => {
    service = await startPaymentService({ env: await start() });
    const operator = callers.find(({ kind }) => kind === 'operator');
    await until('health answers operators with a 200', async () => {
      return (await service.caller((await operator?.headers()) ?? {}).get('/health')).status === 200;
    });
  });
  afterAll(async () => {
    await service.stop();
    await stop();
  });

  describe.each(routes)('P10 %s', (route, expected, body) => {
    it.each(callers)(
      'allows exactly the callers named in the documentation: $name',
      async ({ kind, headers }: TestCaller) => {
        const { id } = await service.aRequest({ customerId: 'ada' });
        const [method = '', template = ''] = route.split(' ');
        const path = template.replace('{paymentRequestId}', id);

        const { status } = await service.caller(await headers()).send(method, path, body);

        expect(status).toBe(expected[kind]);
      },
    );
  });

  it.each(callers)('P10 the administration is open to exactly the documented callers: $name', async (caller) => {
    expect(await answersOfAdminRoutes(service, caller)).toEqual(expectedOfAdminRoutes(caller));
  });

  it('the OpenAPI document is the committed one, except for what is documented to differ', () => {
    expectCommittedDocument(service, 'payments', authMode);
  });

  it('the OpenAPI document names the permitted callers of each route', () => {
    expect(documentedSecurity(service)).toEqual(
      Object.fromEntries(
        [...documented, ...ADMIN_ROUTES].map(([route, expected]) => [route, securityOf(expected, authMode)]),
      ),
    );
  });
});
