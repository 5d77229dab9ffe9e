import {
  CALLERS,
  documentedSecurity,
  IDENTIFIED,
  OPERATORS,
  securityOf,
  type Statuses,
  WHO_MAY_SEE_IT,
} from '@twinbox/test-support';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
});
afterAll(() => service.stop());

/** The table in docs/api.md. */
const ROUTES: readonly (readonly [string, Statuses, object | undefined])[] = [
  ['GET /payment-requests', IDENTIFIED, undefined],
  ['GET /payment-requests/{paymentRequestId}', WHO_MAY_SEE_IT, undefined],
  ['GET /payment-requests/{paymentRequestId}/timeline', WHO_MAY_SEE_IT, undefined],
  ['POST /payment-requests/{paymentRequestId}/succeed', OPERATORS, undefined],
  ['POST /payment-requests/{paymentRequestId}/fail', OPERATORS, { reason: 'declined' }],
  // No refund is due, but an operator may call it.
  ['POST /payment-requests/{paymentRequestId}/refunded', { ...OPERATORS, operator: 409, admin: 409 }, undefined],
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
  expect(documentedSecurity(service)).toEqual({
    ...Object.fromEntries(ROUTES.map(([route, expected]) => [route, securityOf(expected)])),
    // Only the provider's signature counts.
    'POST /webhooks/payments': [],
  });
});

it('the OpenAPI document describes every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});
