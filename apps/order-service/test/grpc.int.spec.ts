import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { withRequestSignal } from '@twinbox/api-kit';
import { HealthCheckResponse_ServingStatus as Serving, HealthService } from '@twinbox/contracts/grpc/health';
import {
  type CreateOrderRequest,
  type GetOrdersRequest,
  OrderServiceService as Orders,
  ProductServiceService as Products,
} from '@twinbox/contracts/grpc/orders';
import { until } from '@twinbox/messaging/testing';
import { cutOff, GrpcTestClient } from '@twinbox/test-support';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { OrderPlacements } from '../src/adapters/http/order-placements.js';
import { PlaceTogether } from '../src/application/place-together.js';
import { aCustomer, aList, anOrder } from './grpc.fixtures.js';
import { type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
let client: GrpcTestClient;

beforeAll(async () => {
  service = await startOrderService({ GRPC_PORT: '0' });
  client = GrpcTestClient.of(service);
});
afterAll(async () => {
  client.close();
  await service.stop();
});

const OPERATOR = { 'x-user-id': 'olga', 'x-roles': 'operator' };

/** Creates an order and returns its id. */
async function created(headers: Record<string, string>, fields: Partial<CreateOrderRequest> = {}): Promise<string> {
  const { response } = await client.call(Orders.createOrder, anOrder(fields), { headers });
  if (!response?.order) throw new Error('the order was not created');
  return response.order.id;
}

describe('an order', () => {
  it('is the same by gRPC as by REST, with the same ETag', async () => {
    const headers = aCustomer();
    const { response, metadata } = await client.call(
      Orders.createOrder,
      anOrder({ items: [{ productId: 'tea', quantity: 2, unitPrice: 450 }], description: 'Ring twice.' }),
      { headers: { ...headers, 'x-request-id': 'r-1' } },
    );
    const id = response?.order?.id ?? '';

    const rest = await service.caller(headers).get(`/orders/${id}`);
    const read = await client.call(Orders.getOrder, { orderId: id }, { headers });

    expect(response?.order).toMatchObject({
      customerId: headers['x-user-id'],
      status: 'ORDER_STATUS_PLACED',
      description: 'Ring twice.',
      items: [{ productId: 'tea', quantity: 2, unitPrice: { minorUnits: 450, currency: 'EUR' } }],
      total: { minorUnits: 900, currency: 'EUR' },
      late: false,
      version: 1,
      createdAt: new Date(rest.body.createdAt),
      dueAt: new Date(rest.body.dueAt),
    });
    expect(metadata).toMatchObject({ etag: rest.headers.get('etag'), 'x-request-id': 'r-1' });
    expect(read.response).toEqual(response);
    expect(read.metadata).toMatchObject({ etag: rest.headers.get('etag') });
  });

  it('is filled, changed and placed as a cart, and if-match guards each change', async () => {
    const headers = aCustomer();
    const orderId = await created(headers, { draft: true, items: [] });
    const line = { orderId, productId: 'tea', quantity: 3 };

    const added = await client.call(Orders.addItem, line, { headers: { ...headers, 'if-match': '"1"' } });
    const outdated = await client.call(Orders.changeItem, line, { headers: { ...headers, 'if-match': '"1"' } });
    const changed = await client.call(Orders.changeItem, { ...line, quantity: 1 }, { headers });
    const removed = await client.call(Orders.removeItem, { orderId, productId: 'tea' }, { headers });
    const empty = await client.call(Orders.placeOrder, { orderId, items: [] }, { headers });
    await client.call(Orders.addItem, line, { headers });
    const expensive = { orderId, items: [{ productId: 'tea', unitPrice: 1 }] };
    const unexpected = await client.call(Orders.placeOrder, expensive, { headers });
    const placed = await client.call(Orders.placeOrder, { orderId, items: [] }, { headers });

    expect(added.response?.order).toMatchObject({ items: [{ quantity: 3 }], version: 2 });
    expect(outdated).toMatchObject({ status: 'ABORTED', reason: 'version-conflict', facts: { actual: '2' } });
    expect(changed.response?.order).toMatchObject({ items: [{ quantity: 1 }] });
    expect(removed.response?.order).toMatchObject({ items: [], total: undefined });
    expect(empty).toMatchObject({ status: 'FAILED_PRECONDITION', reason: 'order-empty' });
    expect(unexpected).toMatchObject({ status: 'FAILED_PRECONDITION', reason: 'price-changed' });
    expect(placed.response?.order).toMatchObject({ status: 'ORDER_STATUS_PLACED' });
  });

  it('is cancelled by its customer, and finished by an operator once it is paid', async () => {
    const headers = aCustomer();
    const [unwanted, paid] = [await created(headers), await created(headers)];
    const paymentRequestId = uuidv7();
    await service.receives({ type: 'PaymentRequested', data: { orderId: paid, paymentRequestId } });
    await service.receives({ type: 'PaymentSucceeded', data: { orderId: paid, paymentRequestId } });

    const cancelled = await client.call(Orders.cancelOrder, { orderId: unwanted, reason: 'No more.' }, { headers });
    const again = await client.call(Orders.cancelOrder, { orderId: paid, reason: 'No more.' }, { headers });
    const status = await client.call(Orders.getOrderStatus, { orderId: paid }, { headers });
    const finished = await client.call(Orders.markOrderFinished, { orderId: paid }, { headers: OPERATOR });

    expect(cancelled.response?.order).toMatchObject({ status: 'ORDER_STATUS_CANCELLED', cancelReason: 'No more.' });
    expect(again).toMatchObject({
      status: 'FAILED_PRECONDITION',
      reason: 'order-wrong-status',
      facts: { orderId: paid, actual: 'COMPLETED' },
    });
    expect(status.response).toEqual({
      orderId: paid,
      status: 'ORDER_STATUS_COMPLETED',
      payment: { paymentRequestId, status: 'PAYMENT_STATUS_SUCCEEDED', reason: undefined },
      late: false,
      version: (await service.caller(OPERATOR).get(`/orders/${paid}`)).body.version - 1,
    });
    expect(finished.response?.order?.status).toBe('ORDER_STATUS_FINISHED');
  });

  it('has a timeline that names the gRPC method, page by page', async () => {
    const headers = aCustomer();
    const orderId = await created(headers);
    await client.call(Orders.cancelOrder, { orderId, reason: 'No more.' }, { headers });

    const first = await client.call(Orders.getTimeline, { orderId, pageSize: 1, pageToken: '' }, { headers });
    const pageToken = first.response?.nextPageToken ?? '';
    const last = await client.call(Orders.getTimeline, { orderId, pageSize: 5, pageToken }, { headers });
    const foreign = await client.call(
      Orders.getTimeline,
      { orderId: await created(headers), pageSize: 5, pageToken },
      { headers },
    );

    expect(first.response?.steps).toMatchObject([
      { type: 'OrderPlaced', cause: 'gRPC /twinbox.orders.v1.OrderService/CreateOrder', detail: { total: 900 } },
    ]);
    expect(last.response).toMatchObject({
      steps: [{ type: 'OrderCancelled', status: 'ORDER_STATUS_CANCELLED', detail: { reason: 'No more.' } }],
      nextPageToken: '',
    });
    expect(foreign).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'validation', fields: ['page_token'] });
  });

  it('keeps an amount of 2^53 - 1 minor units, and a larger integer is invalid', async () => {
    const price = Number.MAX_SAFE_INTEGER;
    const productId = await service.aProduct({ price });
    const order = anOrder({ items: [{ productId, quantity: 1, unitPrice: price }] });

    const { response } = await client.call(Orders.createOrder, order, { headers: aCustomer() });
    // The last byte of the varint makes the unit price 2^54 - 1.
    const tooLarge = Buffer.from('0800120c0a03746561100118ffffffffffffff1f', 'hex');
    const method = { ...Orders.createOrder, requestSerialize: () => tooLarge };
    const refused = await client.call(method, order, { headers: aCustomer() });

    expect(response?.order?.total).toEqual({ minorUnits: price, currency: 'EUR' });
    expect(refused).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'validation', fields: [''] });
  });
});

describe('a rejection', () => {
  it('names each invalid field by its path in the message', async () => {
    const items = [
      { productId: 'tea', quantity: 0 },
      { productId: 'No', quantity: 1, unitPrice: 0 },
    ];

    const invalid = await client.call(Orders.createOrder, anOrder({ items }), { headers: aCustomer() });
    const id = await client.call(Orders.getOrder, { orderId: 'x' }, { headers: aCustomer() });
    const list = aList({ pageSize: 101, statuses: ['ORDER_STATUS_UNSPECIFIED'], totalMin: -1 });
    const query = await client.call(Orders.getOrders, list, { headers: aCustomer() });

    expect(invalid).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'validation', retryAfter: undefined });
    expect(invalid.fields).toEqual(['items[0].quantity', 'items[1].product_id', 'items[1].unit_price']);
    expect(id.fields).toEqual(['order_id']);
    expect(query.fields.toSorted()).toEqual(['page_size', 'statuses', 'total_min']);
  });

  it('has the facts of the problem document', async () => {
    const productId = await service.aProduct({ stock: 1 });
    const items = [{ productId, quantity: 2 }];
    const rest = await service.caller(aCustomer()).post('/orders', { items });

    const answer = await client.call(Orders.createOrder, anOrder({ items }), { headers: aCustomer() });

    expect(answer).toMatchObject({ status: 'FAILED_PRECONDITION', reason: 'insufficient-stock' });
    expect(JSON.parse(answer.facts['short'] ?? '')).toEqual(rest.body.short);
    expect(answer.message).toBe(rest.body.detail);
  });

  it('fits into 8 KiB of metadata, even if a hundred products are unknown', async () => {
    const items = Array.from({ length: 100 }, () => ({ productId: `p-${randomUUID()}`, quantity: 1 }));

    const answer = await client.call(Orders.createOrder, anOrder({ items }), { headers: aCustomer() });

    expect(answer).toMatchObject({ status: 'FAILED_PRECONDITION', reason: 'product-unknown' });
    const details = answer.metadata['grpc-status-details-bin'] as Buffer;
    expect((details.length * 4) / 3 + 3 * answer.message.length).toBeLessThan(8000);
  });

  it('P8 is UNAVAILABLE while the database is down, and says when to try again', async () => {
    const restore = await cutOff(service.database);
    const headers = aCustomer();
    const answers = [
      await client.call(Orders.getOrders, aList(), { headers }),
      await client.call(Orders.createOrder, anOrder(), { headers }),
    ];
    const health = await client.call(HealthService.check, { service: '' });
    await restore();

    for (const answer of answers)
      expect(answer).toMatchObject({ status: 'UNAVAILABLE', reason: 'database-unavailable', retryAfter: 1 });
    expect(health.response?.status).toBe(Serving.NOT_SERVING);
    expect((await client.call(Orders.getOrders, aList(), { headers })).status).toBe('OK');
  });
});

describe('a list of orders', () => {
  it('has the filters, sorts and pages of REST', async () => {
    const headers = aCustomer();
    const ids: string[] = [];
    for (let n = 1; n <= 3; n++) ids.push(await created(headers, { items: [{ productId: 'tea', quantity: n }] }));
    await client.call(Orders.cancelOrder, { orderId: ids[0] ?? '', reason: 'No more.' }, { headers });

    const first = await client.call(Orders.getOrders, aList({ pageSize: 2 }), { headers });
    const next = aList({ pageSize: 2, pageToken: first.response?.nextPageToken ?? '' });
    const rest = await client.call(Orders.getOrders, next, { headers });
    const found = async (fields: Partial<GetOrdersRequest>) =>
      (await client.call(Orders.getOrders, aList(fields), { headers })).response?.orders.map(({ id }) => id);

    expect(first.response?.orders.map(({ id }) => id)).toEqual([ids[2], ids[1]]);
    expect(rest.response).toMatchObject({ orders: [{ id: ids[0] }], nextPageToken: '' });
    expect(await found({ statuses: ['ORDER_STATUS_CANCELLED', 'ORDER_STATUS_DRAFT'] })).toEqual([ids[0]]);
    expect(await found({ totalMin: 901, sort: 'ORDER_SORT_TOTAL_ASC' })).toEqual([ids[2]]);
    expect(await found({ createdTo: new Date(0) })).toEqual([]);
    expect(await found({ late: true })).toEqual([]);
    expect(await found({ productId: 'coffee' })).toEqual([]);
    expect(await found({ customerId: 'another' })).toEqual([]);
  });

  it('rejects a sort, a status and a time that it does not know', async () => {
    const headers = aCustomer();
    const unknown = aList({ sort: 'UNRECOGNIZED', statuses: ['UNRECOGNIZED'] });
    // created_from is 9e12 seconds after 1970, which no Date can represent.
    const far = { ...Orders.getOrders, requestSerialize: () => Buffer.from('42080880a0b6cef78502', 'hex') };

    const answers = [
      await client.call(Orders.getOrders, unknown, { headers }),
      await client.call(far, aList(), { headers }),
    ];

    expect(answers.map(({ status }) => status)).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT']);
    expect(answers.map(({ fields }) => fields.toSorted())).toEqual([['sort', 'statuses'], ['created_from']]);
  });
});

describe('a product', () => {
  it('is put by an operator and read by anyone, and only operators see the stock', async () => {
    const productId = `p-${randomUUID()}`;
    const product = { productId, name: 'Thing', price: { minorUnits: 300, currency: 'EUR' }, stock: 7 };

    const put = await client.call(Products.putProduct, product, { headers: OPERATOR });
    const outdated = { ...OPERATOR, 'if-match': '"9"' };
    const conflict = await client.call(Products.putProduct, product, { headers: outdated });
    const seen = await client.call(Products.getProduct, { productId });
    const list = await client.call(Products.listProducts, { pageSize: 1, pageToken: '', q: productId });
    const unknown = await client.call(Products.getProduct, { productId: 'unicorn' });

    expect(put.response?.product).toMatchObject({ id: productId, stock: 7, reserved: 0, version: 1 });
    expect(conflict).toMatchObject({ status: 'ABORTED', reason: 'version-conflict' });
    expect(seen.response?.product).toMatchObject({ price: product.price, available: 7, stock: undefined });
    expect(seen.metadata).toMatchObject({ etag: '"1-7"' });
    expect(list.response?.products).toEqual([seen.response?.product]);
    expect(unknown).toMatchObject({ status: 'NOT_FOUND', reason: 'product-not-found' });
  });

  it('needs a stock and a price in a currency that is legal tender', async () => {
    const product = { productId: `p-${randomUUID()}`, name: ' ', price: { minorUnits: 300, currency: 'DEM' } };

    const invalid = await client.call(Products.putProduct, product, { headers: OPERATOR });
    const withoutPrice = { ...product, name: 'Thing', price: undefined, stock: 1 };
    const incomplete = await client.call(Products.putProduct, withoutPrice, { headers: OPERATOR });

    expect(invalid.fields.toSorted()).toEqual(['name', 'stock']);
    expect(incomplete.fields.toSorted()).toEqual(['price.currency', 'price.minor_units']);
  });
});

describe('an idempotency key', () => {
  it('P4 gives a repeated call the first answer, and refuses another request', async () => {
    const headers = { ...aCustomer(), 'idempotency-key': 'k-1' };
    const first = await client.call(Orders.createOrder, anOrder(), { headers });

    const again = await client.call(Orders.createOrder, anOrder(), { headers });
    const other = await client.call(Orders.createOrder, anOrder({ description: 'Other.' }), { headers });
    const quoted = await client.call(Orders.createOrder, anOrder(), {
      headers: { ...headers, 'idempotency-key': '"k-1"' },
    });
    const invalid = await client.call(Orders.createOrder, anOrder(), {
      headers: { ...headers, 'idempotency-key': '' },
    });

    expect(again.response).toEqual(first.response);
    expect(first.metadata).not.toHaveProperty('idempotent-replayed');
    expect(again.metadata).toMatchObject({ 'idempotent-replayed': 'true', etag: '"1"' });
    expect(other).toMatchObject({ status: 'FAILED_PRECONDITION', reason: 'idempotency-key-reused' });
    expect(quoted.response).toEqual(first.response);
    expect(invalid).toMatchObject({ status: 'INVALID_ARGUMENT', reason: 'idempotency-key-invalid' });
  });
});

describe('a caller who gives up', () => {
  /** Keeps the product locked until the returned function is called, so that an order for it is not committed. */
  async function locked(productId: string): Promise<() => Promise<void>> {
    const connection = new pg.Client({ connectionString: service.database.url });
    await connection.connect();
    await connection.query('begin');
    await connection.query('select from orders.products where id = $1 for update', [productId]);
    return async () => {
      await connection.query('commit');
      await connection.end();
    };
  }

  const aPlacement = () => ({
    wanted: { customerId: `customer ${randomUUID()}`, description: null, lines: [{ productId: 'tea', quantity: 1 }] },
    origin: { actor: 'customer:ada', cause: 'a test' },
  });

  it('P1 is left out of the group of orders that are placed together', async () => {
    const placements = service.app.get(OrderPlacements);

    const [unwanted, wanted] = await Promise.all([
      withRequestSignal(AbortSignal.abort(), () => placements.place(aPlacement())),
      placements.place(aPlacement()),
    ]);

    expect(unwanted).toBeUndefined();
    expect(wanted).toMatchObject({ accepted: true });
  });

  it('P1 rolls the group back if it has not been committed, so that the others are placed one by one', async () => {
    const placements = service.app.get(OrderPlacements);
    const together = service.app.get(PlaceTogether);
    const controller = new AbortController();
    const execute = together.execute.bind(together);
    const spy = jest.spyOn(together, 'execute').mockImplementation(async (...args) => {
      const decisions = await execute(...args);
      controller.abort();
      return decisions;
    });
    const before = await service.counts();

    const decisions = await Promise.all([
      withRequestSignal(controller.signal, () => placements.place(aPlacement())),
      placements.place(aPlacement()),
    ]);
    spy.mockRestore();

    expect(decisions).toEqual([undefined, undefined]);
    expect(await service.counts()).toEqual(before);
  });

  it.each(['deadline', 'cancellation'])('P1 leaves nothing behind by a %s before the commit', async (how) => {
    const productId = await service.aProduct();
    const unlock = await locked(productId);
    const headers = { ...aCustomer(), 'idempotency-key': 'k-1' };
    const order = anOrder({ items: [{ productId, quantity: 1 }] });
    const before = await service.counts();

    const controller = new AbortController();
    const pending = client.call(Orders.createOrder, order, {
      headers,
      ...(how === 'deadline' ? { deadlineMs: 400 } : { signal: controller.signal }),
    });
    await until('the order waits for the lock', async () => {
      const [row] = await service.database.sql<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return row !== undefined && row.n > 0;
    });
    controller.abort();
    const { status } = await pending;
    await unlock();

    expect(status).toBe(how === 'deadline' ? 'DEADLINE_EXCEEDED' : 'CANCELLED');
    // The next order runs after the one that was given up.
    const again = await client.call(Orders.createOrder, order, { headers });
    expect(again.response?.order?.status).toBe('ORDER_STATUS_PLACED');
    expect(again.metadata).not.toHaveProperty('idempotent-replayed');
    expect(await service.counts()).toMatchObject({ orders: before.orders + 1, messages: before.messages + 1 });
  });
});
