import { openApiDocument } from '@twinbox/api-kit';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
});
afterAll(() => service.stop());

const CALLERS = {
  nobody: {},
  'its customer': { 'x-user-id': 'ada' },
  'another customer': { 'x-user-id': 'grace' },
  operator: { 'x-user-id': 'olga', 'x-roles': 'operator' },
  admin: { 'x-user-id': 'root', 'x-roles': 'admin' },
};
type Statuses = Readonly<Record<keyof typeof CALLERS, number>>;

const statuses = (...[nobody, own, another, operator, admin]: [number, number, number, number, number]): Statuses => ({
  nobody,
  'its customer': own,
  'another customer': another,
  operator,
  admin,
});
const WHO_MAY_SEE_IT = statuses(401, 200, 404, 200, 404);
const OPERATORS = statuses(401, 403, 403, 200, 403);

/** The table in docs/api.md. */
const ROUTES: readonly (readonly [string, Statuses, object | undefined])[] = [
  ['GET /payment-requests', statuses(401, 200, 200, 200, 200), undefined],
  ['GET /payment-requests/{paymentRequestId}', WHO_MAY_SEE_IT, undefined],
  ['GET /payment-requests/{paymentRequestId}/timeline', WHO_MAY_SEE_IT, undefined],
  ['POST /payment-requests/{paymentRequestId}/succeed', OPERATORS, undefined],
  ['POST /payment-requests/{paymentRequestId}/fail', OPERATORS, { reason: 'declined' }],
  // No refund is due, but an operator may call it.
  ['POST /payment-requests/{paymentRequestId}/refunded', { ...OPERATORS, operator: 409 }, undefined],
];

describe.each(ROUTES)('P10 %s', (route, expected, body) => {
  it.each(Object.keys(CALLERS) as (keyof typeof CALLERS)[])(
    'allows exactly the callers named in the documentation: %s',
    async (who) => {
      const { id } = await service.aRequest({ customerId: 'ada' });
      const [method = '', template = ''] = route.split(' ');
      const path = template.replace('{paymentRequestId}', id);

      const { status } = await service.caller(CALLERS[who]).send(method, path, body);

      expect(status).toBe(expected[who]);
    },
  );
});

it('the OpenAPI document names the permitted callers of each route', () => {
  const methods = ['get', 'post', 'put', 'patch', 'delete'] as const;
  const documented = Object.entries(openApiDocument(service.app, service.openApi).paths).flatMap(([path, operations]) =>
    methods.flatMap((method) => {
      const operation = operations[method];
      // These routes are public.
      if (!operation || path.startsWith('/health')) return [];
      return [[`${method.toUpperCase()} ${path}`, operation.security] as const];
    }),
  );

  const both = { user: [], roles: [] };
  const securityOf = (expected: Statuses) => (expected['its customer'] === 403 ? [both] : [{ user: [] }, both]);
  expect(Object.fromEntries(documented)).toEqual({
    ...Object.fromEntries(ROUTES.map(([route, expected]) => [route, securityOf(expected)])),
    // Only the provider's signature counts.
    'POST /webhooks/payments': [],
  });
});

it('the OpenAPI document describes every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});
