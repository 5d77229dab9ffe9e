import { expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

describe("an order's timeline", () => {
  it('contains every step and received payment event, with actor, cause and message', async () => {
    const customer = service.aCustomer('ada');
    const { body: order } = await customer.post('/orders', aCart());
    const orderId: string = order.id;
    const paymentRequestId = uuidv7();
    const [requestedId, succeededId] = [uuidv7(), uuidv7()];
    await service.receives({ type: 'PaymentRequested', data: { orderId, paymentRequestId } }, requestedId);
    await service.receives(
      { type: 'PaymentSucceeded', data: { orderId, paymentRequestId, actor: 'operator:olga' } },
      succeededId,
    );
    await service.anOperator('olga').post(`/orders/${orderId}/finish`);

    const own = await customer.get(`/orders/${orderId}/timeline`);
    const operators = await service.anOperator('otto').get(`/orders/${orderId}/timeline`);

    const { messages } = await service.stored(orderId);
    const [placedId, completedId, finishedId] = messages.map(({ id }) => id);
    const step = (type: string, status: string, version: number, actor: string, cause: string, messageId: unknown) =>
      expect.objectContaining({ type, status, version, actor, cause, messageId, at: expect.any(String) });
    const expected = (olga: string) => [
      step('OrderPlaced', 'PLACED', 1, 'customer:ada', 'POST /orders', placedId),
      step('PaymentRequested', 'PAYMENT_PENDING', 2, 'payment-service', 'PaymentRequested', requestedId),
      step('PaymentSucceeded', 'PAYMENT_PENDING', 3, olga, 'PaymentSucceeded', succeededId),
      step('OrderCompleted', 'COMPLETED', 4, olga, 'PaymentSucceeded', completedId),
      step('OrderFinished', 'FINISHED', 5, olga, 'POST /orders/:orderId/finish', finishedId),
    ];
    expect(own).toMatchObject({ status: 200, body: { items: expected('operator') } });
    expect(operators).toMatchObject({ status: 200, body: { items: expected('operator:olga') } });
  });

  it('comes in pages, oldest first, each step on exactly one page even if steps are added meanwhile', async () => {
    const customer = service.aCustomer('ada');
    const { body: order } = await customer.post('/orders', { draft: true, items: aCart().items });
    await service.database.sql(
      `insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor)
       select $1, 'ada', 'Tested', 'DRAFT', version, now(), 'system' from generate_series(3, 250) as version`,
      [order.id],
    );
    const { body: usual } = await customer.get(`/orders/${order.id}/timeline`);

    const items: { position: number; version: number }[] = [];
    let path = `/orders/${order.id}/timeline?limit=60`;
    for (let page = 0; page < 10 && path !== ''; page++) {
      const { body } = await customer.get(path);
      items.push(...body.items);
      path =
        body.nextCursor === null ? '' : `/orders/${order.id.toUpperCase()}/timeline?limit=60&cursor=${body.nextCursor}`;
      if (page === 1)
        await service.database.sql(
          `insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor)
           values ($1, 'ada', 'Tested', 'DRAFT', 250, now(), 'system')`,
          [order.id],
        );
    }

    expect(usual.items).toHaveLength(100);
    expect(usual.nextCursor).toEqual(expect.any(String));
    expect(items.slice(-2).map(({ version }) => version)).toEqual([250, 250]);
    const positions = items.map(({ position }) => position);
    expect(positions).toEqual([...new Set(positions)].toSorted((a, b) => a - b));
    expect(items.filter(({ version }) => version > 2)).toHaveLength(249);
  });

  it.each(['limit=0', 'limit=101', 'limit=x', 'cursor=x', 'page=2'])('rejects ?%s', async (query) => {
    const customer = service.aCustomer();
    const { body } = await customer.post('/orders', aCart());

    expectProblem(await customer.get(`/orders/${body.id}/timeline?${query}`), 400, 'validation');
  });

  it('rejects a cursor of another order', async () => {
    const customer = service.aCustomer();
    const [{ body: one }, { body: other }] = [
      await customer.post('/orders', aCart()),
      await customer.post('/orders', aCart()),
    ];
    await customer.post(`/orders/${one.id}/cancel`, { reason: 'no more' });
    const { body: page } = await customer.get(`/orders/${one.id}/timeline?limit=1`);

    const refused = await customer.get(`/orders/${other.id}/timeline?cursor=${page.nextCursor}`);

    expect(page.items).toHaveLength(1);
    expectProblem(refused, 400, 'validation');
  });

  it('is empty for an order from before timelines were introduced', async () => {
    const customer = service.aCustomer();
    const { body } = await customer.post('/orders', aCart());
    await service.database.sql('alter table orders.order_timeline disable trigger append_only');
    await service.database.sql('delete from orders.order_timeline where order_id = $1', [body.id]);
    await service.database.sql('alter table orders.order_timeline enable trigger append_only');

    expect(await customer.get(`/orders/${body.id}/timeline`)).toMatchObject({
      status: 200,
      body: { items: [], nextCursor: null },
    });
  });

  it("P10 of another customer's order looks like that of a missing order", async () => {
    const { body } = await service.aCustomer().post('/orders', aCart());
    const other = service.aCustomer();

    for (const orderId of [body.id, uuidv7()]) {
      expectProblem(await other.get(`/orders/${orderId}/timeline`), 404, 'order-not-found', { orderId });
      expectProblem(await other.get(`/orders/${orderId}/events`), 404, 'order-not-found', { orderId });
    }
    expectProblem(await other.get('/orders/17/timeline'), 400, 'validation');
    expectProblem(await service.caller({}).get(`/orders/${body.id}/timeline`), 401, 'caller-unknown');
    expectProblem(await service.caller({}).get('/orders/events'), 401, 'caller-unknown');
  });
});

it('the OpenAPI document describes every response of these tests', () => {
  expect(service.undocumented()).toEqual([]);
});
