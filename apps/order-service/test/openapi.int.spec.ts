import { randomUUID } from 'node:crypto';
import { until } from '@twinbox/messaging/testing';
import { adminCases, EventClient } from '@twinbox/test-support';
import { describeOpenApi } from '@twinbox/test-support/described-api';
import { v7 as uuidv7 } from 'uuid';
import { type OrderServiceHarness, startOrderService } from './order-service.harness.js';

const OWNER = 'ada';
const BACKLOG = 10;
const MAX_PRICE = Number.MAX_SAFE_INTEGER;

describeOpenApi(async () => {
  const service = await startOrderService({ STREAM_BACKLOG: String(BACKLOG) });
  await service.aProduct({ id: 'tea-earl-grey', price: 890, stock: 1000 });
  const { body: draft } = await service.aCustomer(OWNER).post('/orders', { draft: true });
  return {
    service,
    schema: 'orders',
    owner: OWNER,
    known: { orderId: [draft.id], productId: ['tea-earl-grey'] },
    specialCases: {
      ...specialCasesOf(service),
      ...adminCases({
        service,
        schema: 'orders',
        topic: service.topics.paymentEvents,
        event: { type: 'PaymentSucceeded', version: 1, data: { orderId: uuidv7(), paymentRequestId: uuidv7() } },
      }),
    },
    // These need colliding requests, a rate limit, overload, a stopping replica or stalled messaging.
    notReproducible:
      / (try-again|too-many-requests|overloaded|service-stopping|too-much-to-catch-up)$|\/health.* internal-error$|\/health\/messaging 503$/,
  };
});

function specialCasesOf(service: OrderServiceHarness) {
  const shop = shopOf(service);
  return {
    ...orderCases(shop),
    ...addItemCases(shop),
    ...changeItemCases(shop),
    ...removeItemCases(shop),
    ...placeCases(shop),
    ...quotaCases(shop),
    ...productCases(shop),
    ...streamCases(shop),
  };
}

type Shop = ReturnType<typeof shopOf>;

function shopOf(service: OrderServiceHarness) {
  const ada = service.aCustomer(OWNER);
  const operator = service.anOperator();
  const adaWithStaleVersion = service.caller({ 'x-user-id': OWNER, 'if-match': '"1000000"' });

  async function aCart(...lines: { readonly productId: string; readonly quantity: number }[]) {
    const { body } = await ada.post('/orders', { draft: true, items: lines });
    return `/orders/${body.id}`;
  }
  async function aPlacedOrder() {
    const { body } = await ada.post('/orders', { items: [await aLine()] });
    return `/orders/${body.id}`;
  }
  async function aPaidOrder() {
    const path = await aPlacedOrder();
    const data = { orderId: path.slice('/orders/'.length), paymentRequestId: uuidv7() };
    await service.receives({ type: 'PaymentRequested', data: { ...data, expiresAt: '2100-01-01T00:00:00.000Z' } });
    await service.receives({ type: 'PaymentSucceeded', data: { ...data, actor: 'operator:olga' } });
    return path;
  }
  const aLine = async (fields: Parameters<typeof service.aProduct>[0] = {}, quantity = 1) => ({
    productId: await service.aProduct(fields),
    quantity,
  });
  const changeProduct = (productId: string, change: string) =>
    service.database.sql(`update orders.products set ${change} where id = $1`, [productId]);
  async function aCartOf(fields: Parameters<typeof service.aProduct>[0] = {}, quantity = 1) {
    const line = await aLine(fields, quantity);
    return { ...line, path: await aCart(line) };
  }
  /** Sends two bodies with the same key. */
  async function reuseKey(path: string, first: unknown, second: unknown, headers = {}) {
    const caller = service.caller({ 'x-user-id': OWNER, 'idempotency-key': randomUUID(), ...headers });
    await caller.post(path, first);
    await caller.post(path, second);
  }
  return {
    service,
    ada,
    operator,
    adaWithStaleVersion,
    aCart,
    aPlacedOrder,
    aPaidOrder,
    aLine,
    changeProduct,
    aCartOf,
    reuseKey,
  };
}

function orderCases({ service, ada, operator, aPlacedOrder, aPaidOrder, aLine, reuseKey }: Shop) {
  return {
    'GET 304': async () => {
      for (const path of ['/orders', await aPlacedOrder(), '/products/tea-earl-grey']) {
        const { headers } = await ada.get(path);
        await service.caller({ 'x-user-id': OWNER, 'if-none-match': headers.get('etag')! }).get(path);
      }
    },
    'POST /orders/{orderId}/cancel role-required': async () => {
      const path = `${await aPlacedOrder()}/cancel`;
      const key = { 'x-user-id': 'ops', 'idempotency-key': randomUUID() };
      await service.caller({ ...key, 'x-roles': 'operator' }).post(path, { reason: 'Ordered twice.' });
      await service.caller(key).post(path, { reason: 'Ordered twice.' });
    },
    'POST /orders 201': async () => ada.post('/orders', { items: [await aLine()] }),
    'POST /orders product-unknown': () => ada.post('/orders', { items: [{ productId: 'unicorn', quantity: 1 }] }),
    'POST /orders price-changed': async () => ada.post('/orders', { items: [{ ...(await aLine()), unitPrice: 1 }] }),
    'POST /orders mixed-currencies': async () =>
      ada.post('/orders', { items: [await aLine(), await aLine({ currency: 'USD' })] }),
    'POST /orders insufficient-stock': async () => ada.post('/orders', { items: [await aLine({ stock: 1 }, 2)] }),
    'POST /orders order-total-too-large': async () =>
      ada.post('/orders', { items: [await aLine({ price: MAX_PRICE }, 2)] }),
    'POST /orders idempotency-key-reused': async () => reuseKey('/orders', { draft: true }, { draft: true, items: [] }),
    'POST /orders/{orderId}/cancel 200': async () => ada.post(`${await aPlacedOrder()}/cancel`, { reason: 'Why not.' }),
    'POST /orders/{orderId}/cancel order-wrong-status': async () => {
      const path = await aPlacedOrder();
      await ada.post(`${path}/cancel`, { reason: 'Ordered twice.' });
      await ada.post(`${path}/cancel`, { reason: 'Ordered twice.' });
    },
    'POST /orders/{orderId}/cancel idempotency-key-reused': async () =>
      reuseKey(`${await aPlacedOrder()}/cancel`, { reason: 'One.' }, { reason: 'Two.' }),
    'POST /orders/{orderId}/finish 200': async () => operator.post(`${await aPaidOrder()}/finish`),
    'POST /orders/{orderId}/finish order-wrong-status': async () => operator.post(`${await aPlacedOrder()}/finish`),
  };
}

function addItemCases({ ada, operator, aCart, aPlacedOrder, aLine, aCartOf, reuseKey }: Shop) {
  return {
    'POST /orders/{orderId}/items order-not-yours': async () => operator.post(`${await aCart()}/items`, await aLine()),
    'POST /orders/{orderId}/items order-wrong-status': async () =>
      ada.post(`${await aPlacedOrder()}/items`, await aLine()),
    'POST /orders/{orderId}/items product-unknown': async () =>
      ada.post(`${await aCart()}/items`, { productId: 'unicorn', quantity: 1 }),
    'POST /orders/{orderId}/items price-changed': async () =>
      ada.post(`${await aCart()}/items`, { ...(await aLine()), unitPrice: 1 }),
    'POST /orders/{orderId}/items mixed-currencies': async () =>
      ada.post(`${(await aCartOf()).path}/items`, await aLine({ currency: 'USD' })),
    'POST /orders/{orderId}/items too-many-products': async () => {
      const lines = await Promise.all(Array.from({ length: 100 }, () => aLine()));
      await ada.post(`${await aCart(...lines)}/items`, await aLine());
    },
    'POST /orders/{orderId}/items quantity-too-large': async () => {
      const { path, productId } = await aCartOf();
      await ada.send('PATCH', `${path}/items/${productId}`, { quantity: 1_000_000 });
      await ada.post(`${path}/items`, { productId, quantity: 1 });
    },
    'POST /orders/{orderId}/items order-total-too-large': async () =>
      ada.post(`${await aCart()}/items`, await aLine({ price: MAX_PRICE }, 2)),
    'POST /orders/{orderId}/items idempotency-key-reused': async () => {
      const line = await aLine();
      await reuseKey(`${await aCart()}/items`, line, { ...line, quantity: 2 });
    },
  };
}

function changeItemCases(shop: Shop) {
  const { service, ada, operator, adaWithStaleVersion, aCart, aPlacedOrder, aLine, changeProduct, aCartOf } = shop;
  return {
    'PATCH /orders/{orderId}/items/{productId} version-conflict': async () => {
      const { path, productId } = await aCartOf();
      await adaWithStaleVersion.send('PATCH', `${path}/items/${productId}`, { quantity: 2 });
    },
    'PATCH /orders/{orderId}/items/{productId} item-not-found': async () =>
      ada.send('PATCH', `${await aCart()}/items/${await service.aProduct()}`, { quantity: 1 }),
    'PATCH /orders/{orderId}/items/{productId} order-not-yours': async () => {
      const { path, productId } = await aCartOf();
      await operator.send('PATCH', `${path}/items/${productId}`, { quantity: 1 });
    },
    'PATCH /orders/{orderId}/items/{productId} order-wrong-status': async () =>
      ada.send('PATCH', `${await aPlacedOrder()}/items/tea`, { quantity: 1 }),
    'PATCH /orders/{orderId}/items/{productId} price-changed': async () => {
      const { path, productId } = await aCartOf();
      await ada.send('PATCH', `${path}/items/${productId}`, { quantity: 2, unitPrice: 1 });
    },
    'PATCH /orders/{orderId}/items/{productId} mixed-currencies': async () => {
      const { path, productId } = await aCartOf();
      await ada.post(`${path}/items`, await aLine());
      await changeProduct(productId, `currency = 'USD'`);
      await ada.send('PATCH', `${path}/items/${productId}`, { quantity: 2 });
    },
    'PATCH /orders/{orderId}/items/{productId} order-total-too-large': async () => {
      const { path, productId } = await aCartOf({ price: MAX_PRICE });
      await ada.send('PATCH', `${path}/items/${productId}`, { quantity: 2 });
    },
    'PATCH /orders/{orderId}/items/{productId} 200': async () => {
      const { path, productId } = await aCartOf();
      await ada.send('PATCH', `${path}/items/${productId}`, { quantity: 2 });
    },
  };
}

function removeItemCases({ service, ada, operator, adaWithStaleVersion, aCart, aPlacedOrder, aCartOf }: Shop) {
  return {
    'DELETE /orders/{orderId}/items/{productId} version-conflict': async () => {
      const { path, productId } = await aCartOf();
      await adaWithStaleVersion.send('DELETE', `${path}/items/${productId}`);
    },
    'DELETE /orders/{orderId}/items/{productId} 200': async () => {
      const { path, productId } = await aCartOf();
      await ada.send('DELETE', `${path}/items/${productId}`);
    },
    'DELETE /orders/{orderId}/items/{productId} item-not-found': async () =>
      ada.send('DELETE', `${await aCart()}/items/${await service.aProduct()}`),
    'DELETE /orders/{orderId}/items/{productId} order-not-yours': async () => {
      const { path, productId } = await aCartOf();
      await operator.send('DELETE', `${path}/items/${productId}`);
    },
    'DELETE /orders/{orderId}/items/{productId} order-wrong-status': async () =>
      ada.send('DELETE', `${await aPlacedOrder()}/items/tea`),
  };
}

function placeCases({ service, ada, operator, aCart, aPlacedOrder, aLine, changeProduct, aCartOf, reuseKey }: Shop) {
  return {
    'POST /orders/{orderId}/place 200': async () => ada.post(`${(await aCartOf()).path}/place`),
    'POST /orders/{orderId}/place order-not-yours': async () => operator.post(`${(await aCartOf()).path}/place`),
    'POST /orders/{orderId}/place order-wrong-status': async () => ada.post(`${await aPlacedOrder()}/place`),
    'POST /orders/{orderId}/place order-empty': async () => ada.post(`${await aCart()}/place`),
    'POST /orders/{orderId}/place item-not-found': async () => {
      const items = [{ productId: await service.aProduct(), unitPrice: 1 }];
      await ada.post(`${(await aCartOf()).path}/place`, { items });
    },
    'POST /orders/{orderId}/place mixed-currencies': async () => {
      const { path, productId } = await aCartOf();
      await ada.post(`${path}/items`, await aLine());
      await changeProduct(productId, `currency = 'USD'`);
      await ada.post(`${path}/place`);
    },
    'POST /orders/{orderId}/place price-changed': async () => {
      const { path, productId } = await aCartOf();
      await ada.post(`${path}/place`, { items: [{ productId, unitPrice: 1 }] });
    },
    'POST /orders/{orderId}/place insufficient-stock': async () =>
      ada.post(`${(await aCartOf({ stock: 1 }, 2)).path}/place`),
    'POST /orders/{orderId}/place order-total-too-large': async () => {
      const { path, productId } = await aCartOf({ stock: 10 }, 2);
      await changeProduct(productId, `price = ${MAX_PRICE}`);
      await ada.post(`${path}/place`);
    },
    'POST /orders/{orderId}/place idempotency-key-reused': async () =>
      reuseKey(`${(await aCartOf()).path}/place`, {}, { items: [] }),
  };
}

function quotaCases({ service, aLine }: Shop) {
  /** A new customer places a number of unpaid orders, and then one more, or a cart with the same items. */
  const place = async (what: 'order' | 'cart', quantity: number, unpaid: number, stock = 1_000_000) => {
    const { post } = service.aCustomer();
    const order = { items: [await aLine({ stock }, quantity)] };
    const { body: cart } = await post('/orders', { ...order, draft: true });
    // One at a time, because a 503 for one of many would leave the quota unused.
    for (let n = 0; n < unpaid; n++) expect(await post('/orders', order)).toMatchObject({ status: 201 });
    await (what === 'order' ? post('/orders', order) : post(`/orders/${cart.id}/place`));
  };
  return {
    'POST /orders too-many-drafts': async () => {
      const { post } = service.aCustomer();
      for (let drafts = 0; drafts <= 100; drafts++) await post('/orders', { draft: true });
    },
    'POST /orders too-many-unpaid-orders': () => place('order', 1, 20),
    'POST /orders too-many-pieces-held': () => place('order', 10_000, 1),
    'POST /orders too-large-share-held': () => place('order', 20, 0, 30),
    'POST /orders/{orderId}/place too-many-unpaid-orders': () => place('cart', 1, 20),
    'POST /orders/{orderId}/place too-many-pieces-held': () => place('cart', 10_000, 1),
    'POST /orders/{orderId}/place too-large-share-held': () => place('cart', 20, 0, 30),
  };
}

function productCases({ service, ada, operator, aLine }: Shop) {
  return {
    'GET /products caller-unknown': () => service.caller({ 'x-user-id': '' }).get('/products'),
    'GET /products/{productId} caller-unknown': () =>
      service.caller({ 'x-user-id': '' }).get('/products/tea-earl-grey'),
    'PUT /products/{productId} 201': () =>
      operator.send('PUT', `/products/p-${randomUUID()}`, { name: 'Tea', price: 1, currency: 'EUR', stock: 1 }),
    'PUT /products/{productId} stock-reserved': async () => {
      const line = await aLine();
      await ada.post('/orders', { items: [line] });
      await operator.send('PUT', `/products/${line.productId}`, { name: 'Tea', price: 1, currency: 'EUR', stock: 0 });
    },
  };
}

function streamCases(shop: Shop) {
  const { service, aCart } = shop;
  return {
    'GET /orders/events event-unknown': () =>
      service.caller({ 'x-user-id': OWNER, 'last-event-id': 'unknown' }).get('/orders/events'),
    'GET /orders/{orderId}/events event-unknown': async () =>
      service.caller({ 'x-user-id': OWNER, 'last-event-id': 'unknown' }).get(`${await aCart()}/events`),
    'GET /orders/events backlog-too-long': async () => backlogTooLong(shop, await aCart(), '/orders/events'),
    'GET /orders/{orderId}/events backlog-too-long': async () => {
      const path = await aCart();
      await backlogTooLong(shop, path, `${path}/events`);
    },
    'GET /orders/events too-many-streams': () => tooManyStreams(shop, '/orders/events'),
    'GET /orders/{orderId}/events too-many-streams': async () => tooManyStreams(shop, `${await aCart()}/events`),
  };
}

async function backlogTooLong({ service }: Shop, order: string, path: string): Promise<void> {
  const client = await EventClient.open(service.url + path, { 'x-user-id': OWNER });
  await until('it begins', () => client.lastEventId);
  client.leave();
  await service.database.sql(
    `insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor)
     select $1, $2, 'Tested', 'DRAFT', 1, now(), 'system' from generate_series(0, $3)`,
    [order.slice('/orders/'.length), OWNER, BACKLOG],
  );
  await service.caller({ 'x-user-id': OWNER, 'last-event-id': client.lastEventId ?? '' }).get(path);
}

async function tooManyStreams({ service, ada }: Shop, path: string): Promise<void> {
  const headers = { 'x-user-id': OWNER, 'x-roles': 'customer' };
  const clients = [];
  for (let streams = 0; streams < 20; streams++) clients.push(await EventClient.open(service.url + path, headers));
  await ada.get(path);
  for (const client of clients) client.leave();
}
