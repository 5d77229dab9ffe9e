import { expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
});
afterAll(() => service.stop());

const at = ({ id }: { readonly id: string }) => `/payment-requests/${id}/timeline`;

it('the timeline of a payment tells every step, who took it and why, oldest first', async () => {
  const request = await service.aRequest({ customerId: 'ada' });
  await service.anOperator('olga').post(`/payment-requests/${request.id}/succeed`);
  const cancelled = await service.hearsCancelled(request, { reason: 'too late', actor: 'operator:otto' });
  await service.untilStatus(request, 'REFUNDED');
  const again = await service.hearsCancelled(request);

  const { status, body } = await service.anOperator().get(at(request));

  expect(status).toBe(200);
  const { messages } = await service.stored(request);
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/);
  expect(body).toEqual({
    items: [
      {
        type: 'PaymentRequested',
        status: 'PENDING',
        version: 1,
        at: time,
        actor: 'customer:ada',
        cause: 'OrderPlaced',
        messageId: expect.any(String),
        detail: { expiresAt: time },
      },
      {
        type: 'PaymentSucceeded',
        status: 'SUCCEEDED',
        version: 2,
        at: time,
        actor: 'operator:olga',
        cause: 'POST /payment-requests/:paymentRequestId/succeed',
        messageId: messages[0]!['id'],
        detail: null,
      },
      {
        type: 'RefundRequested',
        status: 'REFUND_PENDING',
        version: 3,
        at: time,
        actor: 'operator:otto',
        cause: 'OrderCancelled',
        messageId: cancelled,
        detail: { reason: 'too late' },
      },
      {
        type: 'PaymentRefunded',
        status: 'REFUNDED',
        version: 4,
        at: time,
        actor: 'system',
        cause: 'refund',
        messageId: messages[1]!['id'],
        detail: { reason: 'too late' },
      },
      {
        type: 'MessagePassedOver',
        status: 'REFUNDED',
        version: 4,
        at: time,
        actor: 'customer:ada',
        cause: 'OrderCancelled',
        messageId: again,
        detail: { type: 'OrderCancelled', reason: 'The cancellation of the order had been heard before.' },
      },
    ],
  });
});

it('P10 a customer sees their own, and not which operator it was', async () => {
  const { userId, get } = service.aCustomer();
  const request = await service.aRequest({ customerId: userId });
  await service.anOperator('olga:x').post(`/payment-requests/${request.id}/fail`, { reason: 'declined' });

  const { status, body } = await get(at(request));

  expect(status).toBe(200);
  expect(body.items.map(({ actor }: { actor: string }) => actor)).toEqual([`customer:${userId}`, 'operator']);
  expect(JSON.stringify(body)).not.toContain('olga');
});

it('P10 another customer’s looks like none at all', async () => {
  const request = await service.aRequest();
  const { get } = service.aCustomer();

  expectProblem(await get(at(request)), 404, 'payment-request-not-found', { paymentRequestId: request.id });
  expectProblem(await get(at({ id: uuidv7() })), 404, 'payment-request-not-found');
  expectProblem(await service.caller({}).get(at(request)), 401, 'caller-unknown');
});

it('is not looked for by what is no id', async () => {
  expectProblem(await service.anOperator().get('/payment-requests/17/timeline'), 400, 'validation');
});

it('the documentation tells every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});
