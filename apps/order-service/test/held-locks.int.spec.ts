import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, expectProblem } from '@twinbox/test-support';
import { until } from '@twinbox/messaging/testing';
import pg from 'pg';
import { type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
const connections: pg.Client[] = [];
const loops: { stop(): Promise<unknown> }[] = [];
beforeAll(async () => {
  service = await startOrderService();
});
afterEach(async () => {
  for (const loop of loops.splice(0)) await loop.stop().catch(() => undefined);
  for (const connection of connections.splice(0)) await connection.end();
});
afterAll(() => service.stop());

const order = (...productIds: string[]) => ({ items: productIds.map((productId) => ({ productId, quantity: 1 })) });

/** Locks the row in another session until the returned function is called. */
async function hold(table: string, id: string): Promise<() => Promise<void>> {
  const holder = new pg.Client({ connectionString: service.database.directUrl });
  await holder.connect();
  connections.push(holder);
  await holder.query('begin');
  await holder.query(`select from orders.${table} where id = $1 for update`, [id]);
  return async () => void (await holder.query('commit'));
}

/** Clients that repeat a request until they are stopped. The pause in between leaves CPU for everything else. */
function clients(count: number, ask: () => Promise<Answer>, breakMs = 50) {
  const answers: Answer[] = [];
  const stopping = new AbortController();
  const loop = async () => {
    while (!stopping.signal.aborted) {
      answers.push(await ask());
      await delay(breakMs);
    }
  };
  const running = Promise.all(Array.from({ length: count }, loop));
  const group = {
    answers,
    stop: async () => {
      stopping.abort();
      await running;
      return answers;
    },
  };
  loops.push(group);
  return group;
}

const statuses = (answers: readonly Answer[]) => [...new Set(answers.map(({ status }) => status))];

async function somePlaced(count: number): Promise<{ readonly userId: string; readonly id: string }[]> {
  const placed = [];
  while (placed.length < count) {
    const customer = service.aCustomer();
    const { body } = await customer.post('/orders', order('tea'));
    placed.push({ userId: customer.userId, id: body.id });
  }
  return placed;
}

const areWaitingForPayment = (orderIds: readonly string[]) =>
  until('the payment events are handled', async () => {
    const rows = await service.database.sql(
      `select from orders.orders where id = any($1) and status = 'PAYMENT_PENDING'`,
      [orderIds],
    );
    return rows.length === orderIds.length;
  });

/** Checks that reads, other changes, health checks and payment events continue beside the blocked clients. */
async function expectEverythingElseToContinue(
  wanted: () => Promise<Answer>,
  placed: readonly { readonly userId: string; readonly id: string }[],
): Promise<void> {
  const ids = placed.map(({ id }) => id);
  const [first] = placed;
  const blocked = clients(16, wanted);
  const readers = clients(2, () => service.aCustomer(first?.userId).get(`/orders/${first?.id}`));
  const probes = clients(1, () => service.aCustomer().get('/health/ready'));
  const writers = clients(2, () => service.aCustomer().post('/orders', order('mug')));

  await service.publishesPaymentRequested(ids);
  await areWaitingForPayment(ids);
  // More than could have waited for the lock in this time, so most of them failed at once.
  await until('requests for it fail fast', () => blocked.answers.length >= 100);
  await until('others got their answers', () => writers.answers.length >= 20 && readers.answers.length >= 50);

  expect(statuses(await readers.stop())).toEqual([200]);
  expect(statuses(await probes.stop())).toEqual([200]);
  expect(statuses(await writers.stop())).toEqual([201]);
  const refused = await blocked.stop();
  expect(statuses(refused)).toEqual([503]);
  for (const answer of refused) {
    expectProblem(answer, 503, 'try-again');
    expect(answer.headers.get('retry-after')).toBe('1');
  }
}

it('P5 P6 a locked product delays neither reads nor other products nor payment events', async () => {
  const placed = await somePlaced(12);
  const productId = await service.aProduct({ stock: 1000 });
  const release = await hold('products', productId);

  await expectEverythingElseToContinue(() => service.aCustomer().post('/orders', order(productId)), placed);
  await release();

  await until('it is sold again', async () => {
    const { status } = await service.aCustomer().post('/orders', order(productId));
    return status === 201;
  });
});

it('P5 P6 a locked order delays nothing but its own changes', async () => {
  const placed = await somePlaced(12);
  const [held] = await somePlaced(1);
  const release = await hold('orders', held!.id);
  const { post } = service.aCustomer(held!.userId);
  const cancel = () => post(`/orders/${held!.id}/cancel`, { reason: 'changed my mind' });

  await expectEverythingElseToContinue(cancel, placed);
  await release();

  await until('it is cancelled', async () => (await cancel()).status === 200);
});

it('P5 P6 changes of a locked cart or product are rejected in the same way', async () => {
  const placed = await somePlaced(4);
  const productId = await service.aProduct();
  const customer = service.aCustomer();
  const { body: cart } = await customer.post('/orders', { draft: true, ...order(productId) });
  const releases = [await hold('products', productId), await hold('orders', cart.id)];
  const product = { name: 'Thing', price: 100, currency: 'EUR', stock: 10 };
  let n = 0;

  await expectEverythingElseToContinue(
    () =>
      n++ % 2 === 0
        ? customer.send('PATCH', `/orders/${cart.id}/items/${productId}`, { quantity: 3 })
        : service.anOperator().send('PUT', `/products/${productId}`, product),
    placed,
  );
  for (const release of releases) await release();

  await until('the cart is edited', async () => {
    const { status } = await customer.send('PATCH', `/orders/${cart.id}/items/${productId}`, { quantity: 3 });
    return status === 200;
  });
});

it('P6 a product that many customers order concurrently is sold to all of them', async () => {
  const productId = await service.aProduct({ stock: 100_000 });

  const buyers = clients(8, () => service.aCustomer().post('/orders', order(productId)), 0);
  await until('many have bought', () => buyers.answers.length >= 200);

  expect(statuses(await buyers.stop())).toEqual([201]);
});
