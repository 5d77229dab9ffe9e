import { until } from '@twinbox/messaging/testing';
import { expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
});
afterAll(() => service.stop());

const at = ({ id }: { readonly id: string }) => `/payment-requests/${id}/refunded`;

/** A paid payment of a cancelled order, whose gateway is no longer in use. */
async function aRefundThatIsDue(customerId = 'ada') {
  const request = await service.aRequest({ customerId });
  await service.database.sql(`update payments.payment_requests set gateway = 'gone' where id = $1`, [request.id]);
  await service.anOperator().post(`/payment-requests/${request.id}/succeed`);
  await service.receivesCancelled(request);
  await service.untilStatus(request, 'REFUND_PENDING');
  return request;
}

describe('a refund made by hand', () => {
  it('P1 is recorded with its message and its step', async () => {
    const request = await aRefundThatIsDue();

    const answer = await service.anOperator('olga').post(at(request));

    expect(answer).toMatchObject({ status: 200, body: { id: request.id, status: 'REFUNDED', version: 4 } });
    const { request: row, messages } = await service.stored(request);
    expect(row).toMatchObject({ status: 'REFUNDED', decided_by: 'ops' });
    expect(messages.map(({ type }) => type)).toEqual(['PaymentSucceeded', 'PaymentRefunded']);
    expect(JSON.parse(String(messages[1]!['payload']))).toMatchObject({ actor: 'operator:olga' });
    expect((await service.steps(request)).at(-1)).toMatchObject({
      type: 'PaymentRefunded',
      status: 'REFUNDED',
      actor: 'operator:olga',
      cause: 'POST /payment-requests/:paymentRequestId/refunded',
      message_id: messages[1]!['id'],
    });
  });

  it('P4 gets the same answer when any operator repeats it', async () => {
    const request = await aRefundThatIsDue();
    const first = await service.anOperator('olga').post(at(request));
    const before = [await service.stored(request), await service.steps(request)];

    const second = await service.anOperator('otto').post(at(request));

    expect(second).toMatchObject({ status: 200, body: first.body });
    expect([await service.stored(request), await service.steps(request)]).toEqual(before);
  });

  it('P4 with an idempotency key gets the stored answer', async () => {
    const request = await aRefundThatIsDue();
    const withKey = service.anOperator('ops', { 'idempotency-key': 'once' });
    const first = await withKey.post(at(request));

    const second = await withKey.post(at(request));

    expect(second).toMatchObject({ status: 200, body: first.body });
    expect(second.headers.get('idempotent-replayed')).toBe('true');
  });

  it.each([
    ['PENDING', undefined],
    ['SUCCEEDED', 'succeed'],
    ['FAILED', 'fail'],
  ])('is rejected for a payment that is %s', async (status, action) => {
    const request = await service.aRequest();
    const body = action === 'fail' ? { reason: 'declined' } : undefined;
    if (action) await service.anOperator().post(`/payment-requests/${request.id}/${action}`, body);
    const before = await service.stored(request);

    const answer = await service.anOperator().post(at(request));

    expectProblem(answer, 409, 'refund-not-due', {
      paymentRequestId: request.id,
      actual: status,
      detail: expect.stringContaining(status),
    });
    expect(await service.stored(request)).toEqual(before);
  });

  it('P10 can only be confirmed by an operator', async () => {
    const request = await aRefundThatIsDue();

    const answer = await service.aCustomer('ada').post(at(request));

    expectProblem(answer, 403, 'role-required', { roles: ['operator'] });
    expect(await service.stored(request)).toMatchObject({ request: { status: 'REFUND_PENDING' } });
  });

  it('is rejected for an unknown request, an invalid id, or a body', async () => {
    const request = await aRefundThatIsDue();
    const operator = service.anOperator();

    expectProblem(await operator.post(at({ id: uuidv7() })), 404, 'payment-request-not-found');
    expectProblem(await operator.post(at({ id: '17' })), 400, 'validation');
    expectProblem(await operator.post(at(request), { amount: 1 }), 400, 'validation');
    expect(await service.stored(request)).toMatchObject({ request: { status: 'REFUND_PENDING' } });
  });

  it('P1 leaves no trace when the outbox cannot be written', async () => {
    const request = await aRefundThatIsDue();

    const answer = await service.withoutOutbox(() => service.anOperator().post(at(request)));

    expectProblem(answer, 500, 'internal-error');
    expect(await service.stored(request)).toMatchObject({ request: { status: 'REFUND_PENDING' } });
    expect((await service.anOperator().post(at(request))).status).toBe(200);
  });
});

it('P10 only operators see which gateway handles the payment', async () => {
  const { userId, get } = service.aCustomer();
  const { id } = await service.aRequest({ customerId: userId });

  expect((await service.anOperator().get(`/payment-requests/${id}`)).body.gateway).toBe('manual');
  expect((await get(`/payment-requests/${id}`)).body.gateway).toBeNull();
});

it('the OpenAPI document describes every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});

it('P9 pending refunds are measured by gateway until they are made, and so are stored idempotency keys', async () => {
  const scrape = async (name: string) => {
    const text = await (await fetch(new URL('/metrics', service.url))).text();
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.slice(name.length),
    );
  };
  const becomes = (name: string, fits: (value: number) => boolean) =>
    until(`${name} is current`, async () => fits(await scrape(name)));
  await service.database.sql(`delete from payments.payment_requests`);
  const request = await aRefundThatIsDue();
  await service.database.sql(`update payments.payment_requests set updated_at = now() - interval '1 hour'`);

  await becomes('payment_requests{status="REFUND_PENDING",gateway="gone"}', (count) => count === 1);
  await becomes('payment_refunds_oldest_pending_age_seconds{gateway="gone"}', (age) => age >= 3600 && age < 3700);
  expect(await scrape('payment_requests{status="PENDING",gateway="manual"}')).toBe(0);
  const keys = await scrape('idempotency_keys');
  await service.anOperator('ops', { 'idempotency-key': 'measured' }).post(at(request));

  await becomes('payment_requests{status="REFUNDED",gateway="gone"}', (count) => count === 1);
  await becomes('payment_refunds_oldest_pending_age_seconds{gateway="manual"}', (age) => age === 0);
  await becomes('idempotency_keys', (count) => count === keys + 1);
  expect(await scrape('idempotency_keys_oldest_age_seconds')).toBeGreaterThan(0);
});
