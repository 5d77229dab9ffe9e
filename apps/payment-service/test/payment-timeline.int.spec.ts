import { expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { HAS_CANCELLATION, READ_STEPS } from '../src/adapters/postgres/postgres-payment-timeline.js';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
});
afterAll(() => service.stop());

const at = ({ id }: { readonly id: string }) => `/payment-requests/${id}/timeline`;

it('the timeline of a payment shows every step, its actor and its cause, oldest first', async () => {
  const request = await service.aRequest({ customerId: 'ada' });
  await service.anOperator('olga').post(`/payment-requests/${request.id}/succeed`);
  const cancelled = await service.receivesCancelled(request, { reason: 'too late', actor: 'operator:otto' });
  await service.untilStatus(request, 'REFUNDED');
  const again = await service.receivesCancelled(request);

  const { status, body } = await service.anOperator().get(at(request));

  expect(status).toBe(200);
  const { messages } = await service.stored(request);
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/);
  expect(body).toEqual({
    items: [
      {
        position: expect.any(Number),
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
        position: expect.any(Number),
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
        position: expect.any(Number),
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
        position: expect.any(Number),
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
        position: expect.any(Number),
        type: 'MessagePassedOver',
        status: 'REFUNDED',
        version: 4,
        at: time,
        actor: 'customer:ada',
        cause: 'OrderCancelled',
        messageId: again,
        detail: { type: 'OrderCancelled', reason: 'A cancellation of the order arrived before.' },
      },
    ],
    nextCursor: null,
  });
});

describe('the timeline in pages', () => {
  /** Adds `count` steps to a new request. */
  async function aRequestWith(steps: number, customerId = 'ada') {
    const request = await service.aRequest({ customerId });
    await addSteps(request, steps);
    return request;
  }

  const addSteps = ({ orderId }: { readonly orderId: string }, steps: number) =>
    service.database.sql(
      `insert into payments.payment_timeline (order_id, type, status, version, at, actor, cause)
       select $1, 'MessagePassedOver', 'PENDING', 1, now(), 'operator:olga', 'step ' || n from generate_series(1, $2) n`,
      [orderId, steps],
    );

  it.each([
    ['', [100, 100, 51]],
    ['?limit=100', [100, 100, 51]],
    ['?limit=60', [60, 60, 60, 60, 11]],
  ])('has each step once, oldest first: %s', async (query, sizes) => {
    const request = await aRequestWith(250);
    const { get } = service.caller({ 'x-user-id': 'ada' });

    const pages: { position: number; cause: string; actor: string }[][] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const { status, body } = await get(at(request) + query + (cursor && `${query ? '&' : '?'}cursor=${cursor}`));
      expect(status).toBe(200);
      expect(Object.keys(body).toSorted()).toEqual(['items', 'nextCursor']);
      pages.push(body.items);
      cursor = body.nextCursor;
    }

    expect(pages.map(({ length }) => length)).toEqual(sizes);
    expect(pages.flat().map(({ cause }) => cause)).toEqual([
      'OrderPlaced',
      ...Array.from({ length: 250 }, (_, n) => `step ${n + 1}`),
    ]);
    const positions = pages.flat().map(({ position }) => position);
    expect(positions).toEqual([...new Set(positions)].toSorted((one, other) => one - other));
    expect(new Set(pages.flat().map(({ actor }) => actor))).toEqual(new Set(['customer:ada', 'operator']));
  });

  it('continues with steps added since', async () => {
    const request = await aRequestWith(1);
    const { get } = service.anOperator();
    const first = await get(`${at(request)}?limit=1`);
    await addSteps(request, 1);

    const second = await get(`${at(request)}?limit=2&cursor=${first.body.nextCursor}`);

    expect(second.body.items.map(({ cause }: { cause: string }) => cause)).toEqual(['step 1', 'step 1']);
    expect(second.body.nextCursor).toBeNull();
  });

  it('P7 costs the same however many steps there are', async () => {
    const request = await aRequestWith(300_000);

    const { status, body } = await service.anOperator().get(`${at(request)}?limit=2`);
    const rest = await service.anOperator().get(`${at(request)}?limit=2&cursor=${body.nextCursor}`);

    expect([status, rest.status]).toEqual([200, 200]);
    expect(rest.body.items.map(({ cause }: { cause: string }) => cause)).toEqual(['step 2', 'step 3']);
    await service.database.sql('analyze payments.payment_timeline');
    const plan = await service.database.sql(`explain ${READ_STEPS}`, [request.orderId, 100, 3]);
    expect(JSON.stringify(plan)).toMatch(/Index Scan using payment_timeline_pkey/);
    const cancellation = await service.database.sql(`explain ${HAS_CANCELLATION}`, [request.orderId]);
    expect(JSON.stringify(cancellation)).toMatch(/using payment_timeline_cancelled/);
  });

  it.each(['limit=0', 'limit=101', 'limit=x', 'cursor=x', 'cursor=', 'page=2'])(
    'is rejected for ?%s',
    async (query) => {
      const request = await service.aRequest();

      expectProblem(await service.anOperator().get(`${at(request)}?${query}`), 400, 'validation');
    },
  );

  it('is rejected for a cursor of another payment', async () => {
    const [request, other] = [await aRequestWith(2), await service.aRequest()];
    const { get } = service.anOperator();
    const { body } = await get(`${at(request)}?limit=1`);

    expectProblem(await get(`${at(other)}?cursor=${body.nextCursor}`), 400, 'validation', {
      errors: [{ parameter: 'cursor', detail: expect.any(String) }],
    });
    expect(await get(`/payment-requests/${request.id.toUpperCase()}/timeline?cursor=${body.nextCursor}`)).toMatchObject(
      {
        status: 200,
      },
    );
  });

  it('P10 is hidden from another customer, even with a cursor', async () => {
    const request = await aRequestWith(2);
    const { body } = await service.anOperator().get(`${at(request)}?limit=1`);

    const answer = await service.aCustomer().get(`${at(request)}?cursor=${body.nextCursor}`);

    expectProblem(answer, 404, 'payment-request-not-found');
  });
});

it('P10 a customer sees their own, but not which operator acted', async () => {
  const { userId, get } = service.aCustomer();
  const request = await service.aRequest({ customerId: userId });
  await service.anOperator('olga:x').post(`/payment-requests/${request.id}/fail`, { reason: 'declined' });

  const { status, body } = await get(at(request));

  expect(status).toBe(200);
  expect(body.items.map(({ actor }: { actor: string }) => actor)).toEqual([`customer:${userId}`, 'operator']);
  expect(JSON.stringify(body)).not.toContain('olga');
});

it('P10 reports another customer’s timeline as not found', async () => {
  const request = await service.aRequest();
  const { get } = service.aCustomer();

  expectProblem(await get(at(request)), 404, 'payment-request-not-found', { paymentRequestId: request.id });
  expectProblem(await get(at({ id: uuidv7() })), 404, 'payment-request-not-found');
  expectProblem(await service.caller({}).get(at(request)), 401, 'caller-unknown');
});

it('the timeline is not searched for an invalid id', async () => {
  expectProblem(await service.anOperator().get('/payment-requests/17/timeline'), 400, 'validation');
});

it('the OpenAPI document describes every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});
