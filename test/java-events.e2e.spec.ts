import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { produce, type TestDatabase, until } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  customer,
  type EventExchange,
  operator,
  type ReadEvent,
  type ServiceProcess,
  type ServiceTopics,
  startEventExchange,
  startService,
  stopServices,
} from '@twinbox/test-support';
import { root } from '@twinbox/tools';
import { runsJava } from '@twinbox/tools/secure-servers';
import { v7 as uuidv7 } from 'uuid';

let database: TestDatabase;
/** Java is payment-service for one service and order-service for the other, so each has topics of its own. */
let ofOrders: ServiceTopics;
let ofPayments: ServiceTopics;
let orders: ServiceProcess;
let payments: ServiceProcess;
let java: EventExchange;
/** What Java has sent, by the name of the message, with the id under which an inbox must know it. */
const sent: { readonly name: string; readonly schema: 'orders' | 'payments'; readonly id: string }[] = [];
/** The keys of what the services published. */
const ours = new Set<string>();

async function sends(topic: string, name: string, fields: object): Promise<void> {
  const isOfOrders = topic === ofOrders.orderEvents || topic === ofOrders.paymentEvents;
  sent.push({ name, schema: isOfOrders ? 'orders' : 'payments', id: await java.send(topic, name, fields) });
}

(runsJava ? describe : describe.skip)('a Java consumer and producer, written from the AsyncAPI document', () => {
  beforeAll(async () => {
    [database, ofOrders, ofPayments] = await Promise.all([
      createServiceDatabase(),
      createServiceTopics(),
      createServiceTopics(),
    ]);
    const topics = [ofOrders, ofPayments].flatMap(({ orderEvents, paymentEvents }) => [
      [orderEvents, 'order.events'] as const,
      [paymentEvents, 'payment.events'] as const,
    ]);
    [orders, payments, java] = await Promise.all([
      startService('order-service', {
        ...ofOrders.env('order-service'),
        DATABASE_URL: database.urlFor('orders', 'orders'),
      }),
      startService('payment-service', {
        ...ofPayments.env('payment-service'),
        DATABASE_URL: database.urlFor('payments', 'payments'),
      }),
      startEventExchange(ofOrders.brokers, topics),
    ]);
  });

  afterAll(async () => {
    await (java as EventExchange | undefined)?.stop();
    await stopServices();
    await database.drop();
  });

  describe('as payment-service', () => {
    const requestOf = new Map<string, string>();

    /** Places an order of which Java reads the items, and requests its payment. */
    async function placed(): Promise<string> {
      const items = [
        { productId: 'tea', quantity: 2 },
        { productId: 'mug', quantity: 1 },
      ];
      const { body } = await customer(orders.url).post('/orders', { items });
      ours.add(body.id);
      const { data, headers } = await java.receives(ofOrders.orderEvents, body.id, 'OrderPlaced.v2');
      expect(data).toEqual({
        orderId: body.id,
        customerId: 'ada',
        total: body.total,
        currency: body.currency,
        items: body.items,
      });
      expect(headers).toMatchObject({ ce_source: '/order-service', 'content-type': 'application/json' });
      requestOf.set(body.id, uuidv7());
      const expiresAt = new Date(Date.now() + 600_000).toISOString();
      await sends(ofOrders.paymentEvents, 'PaymentRequested.v1', { ...paymentOf(body.id), expiresAt });
      await untilOrder(body.id, { status: 'PAYMENT_PENDING' });
      return body.id;
    }

    const paymentOf = (orderId: string) => ({ orderId, paymentRequestId: requestOf.get(orderId) });

    const untilOrder = (id: string, expected: { status: string; payment?: object }) =>
      until(`the order is ${expected.status}`, async () => {
        const { body } = await customer(orders.url).get(`/orders/${id}`);
        expect(body).toMatchObject(expected);
        return true;
      });

    it('P2 completes and cancels orders, and reads every event of order-service', async () => {
      const [paid, failed] = await Promise.all([placed(), placed()]);

      await sends(ofOrders.paymentEvents, 'PaymentSucceeded.v1', paymentOf(paid));
      await sends(ofOrders.paymentEvents, 'PaymentFailed.v1', { ...paymentOf(failed), reason: 'card declined' });
      await java.receives(ofOrders.orderEvents, paid, 'OrderCompleted.v1');
      expect(await operator(orders.url).post(`/orders/${paid}/finish`)).toMatchObject({ status: 200 });

      await java.receives(ofOrders.orderEvents, paid, 'OrderFinished.v1');
      const { data } = await java.receives(ofOrders.orderEvents, failed, 'OrderCancelled.v1');
      expect(data).toMatchObject({ orderId: failed, reason: 'payment failed: card declined' });
    });

    it.each([
      ['PaymentCancelled.v1', 'CANCELLED'],
      ['PaymentRefunded.v1', 'REFUNDED'],
    ])('P2 tells the customer of a cancelled order by %s that the payment is %s', async (name, status) => {
      const order = await placed();
      await customer(orders.url).post(`/orders/${order}/cancel`, { reason: 'changed my mind' });
      await java.receives(ofOrders.orderEvents, order, 'OrderCancelled.v1');

      await sends(ofOrders.paymentEvents, name, { ...paymentOf(order), reason: 'changed my mind' });

      await untilOrder(order, { status: 'CANCELLED', payment: { status } });
    });

    it('P2 reads a message of version 1 that the previous version of order-service left in its outbox', async () => {
      const data = { orderId: uuidv7(), customerId: 'ada', total: 900, currency: 'EUR' };
      ours.add(data.orderId);

      await database.sql(
        `insert into orders.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
         values ($1, 'order', $2, 'OrderPlaced', 'urn:event:OrderPlaced:1', 1, $3)`,
        [uuidv7(), data.orderId, JSON.stringify(data)],
      );

      expect(await java.receives(ofOrders.orderEvents, data.orderId, 'OrderPlaced.v1')).toMatchObject({ data });
    });
  });

  describe('as order-service', () => {
    /** Has Java publish an order, and reads the request for its payment. */
    async function requested(name = 'OrderPlaced.v2') {
      const orderId = uuidv7();
      ours.add(orderId);
      await sends(ofPayments.orderEvents, name, { orderId, total: 1998 });
      const { data } = await java.receives(ofPayments.paymentEvents, orderId, 'PaymentRequested.v1');
      const path = `/payment-requests/${String(data?.['paymentRequestId'])}`;
      expect(await operator(payments.url).get(path)).toMatchObject({ body: { orderId, amount: 1998 } });
      return { orderId, path };
    }

    it.each(['OrderPlaced.v1', 'OrderPlaced.v2'])(
      'P2 has the payment of %s requested, and reads its result',
      async (name) => {
        const [succeeding, failing] = await Promise.all([requested(name), requested(name)]);

        await operator(payments.url).post(`${succeeding.path}/succeed`);
        await operator(payments.url).post(`${failing.path}/fail`, { reason: 'card declined' });

        await java.receives(ofPayments.paymentEvents, succeeding.orderId, 'PaymentSucceeded.v1');
        await java.receives(ofPayments.paymentEvents, failing.orderId, 'PaymentFailed.v1');
      },
    );

    it('P2 cancels orders, and reads what becomes of their payments', async () => {
      const [paid, pending] = await Promise.all([requested(), requested()]);
      await operator(payments.url).post(`${paid.path}/succeed`);

      for (const { orderId } of [paid, pending])
        await sends(ofPayments.orderEvents, 'OrderCancelled.v1', { orderId, reason: 'changed my mind' });

      await java.receives(ofPayments.paymentEvents, paid.orderId, 'PaymentRefunded.v1');
      await java.receives(ofPayments.paymentEvents, pending.orderId, 'PaymentCancelled.v1');
    });

    it('P2 has customers notified of the end of their orders', async () => {
      for (const name of ['OrderCompleted.v1', 'OrderFinished.v1', 'OrderCancelled.v1']) {
        const orderId = uuidv7();
        await sends(ofOrders.orderEvents, name, { orderId });
        await until(`${name} is logged`, () => orders.log().includes(orderId));
      }
    });
  });

  describe('with what differs from the document', () => {
    const data = { orderId: uuidv7(), customerId: 'ada' };
    const headers = {
      ce_specversion: '1.0',
      ce_id: uuidv7(),
      ce_source: '/test',
      ce_type: 'OrderFinished',
      ce_dataschema: 'urn:event:OrderFinished:1',
    };
    const record = { key: data.orderId, value: JSON.stringify(data), headers };

    it.each<[string, Partial<typeof record>, RegExp]>([
      [
        'a version older than any that it has',
        { headers: { ...headers, ce_dataschema: 'urn:event:OrderFinished:0' } },
        /^headers/,
      ],
      ['a missing header', { headers: { ...headers, ce_id: '' } }, /^headers/],
      ['another key', { key: uuidv7() }, /^key/],
      ['a key that is no id', { key: 'order 7' }, /^key/],
      ['a missing field', { value: JSON.stringify({ orderId: data.orderId }) }, /^value.*customerId/],
      ['a value that is no JSON', { value: 'order' }, /^value/],
    ])('the consumer reports %s', async (name, { headers: own = headers, ...fields }, problem) => {
      const marked = { ...record, ...fields, headers: { ...own, 'x-test': name } };

      await produce(ofPayments.brokers, ofPayments.orderEvents, [marked]);

      const read = await until('Java reads it', () => java.read.find((event) => event.headers['x-test'] === name));
      expect(read.problems).toContainEqual(expect.stringMatching(problem));
    });

    it('the consumer reads a version newer than any that it has as the newest one', async () => {
      const newer = {
        key: data.orderId,
        value: JSON.stringify({ ...data, finishedBy: 'ada' }),
        headers: { ...headers, ce_dataschema: 'urn:event:OrderFinished:9', 'x-test': 'newer' },
      };

      await produce(ofPayments.brokers, ofPayments.orderEvents, [newer]);

      const read = await until('Java reads it', () => java.read.find((event) => event.headers['x-test'] === 'newer'));
      expect(read).toMatchObject({ message: 'OrderFinished.v1', problems: [] });
    });

    it('the producer sends nothing', async () => {
      const refused = java.send(ofPayments.orderEvents, 'OrderPlaced.v2', { orderId: uuidv7(), items: [] });

      await expect(refused).rejects.toThrow(/OrderPlaced\.v2 violates its contract: .*items/);
    });
  });

  it('P2 P4 every message of the document goes both ways, without a difference', async () => {
    const { components } = JSON.parse(await readFile(join(root, 'libs/contracts/events/asyncapi.json'), 'utf8')) as {
      readonly components: { readonly messages: object };
    };
    const all = Object.keys(components.messages).toSorted();
    const isSent = ({ headers }: ReadEvent) => sent.some(({ id }) => id === headers['ce_id']);
    const published = java.read.filter((event) => ours.has(event.key) && !isSent(event));

    expect([...new Set(sent.map(({ name }) => name))].toSorted()).toEqual(all);
    expect([...new Set(published.map(({ message = '' }) => message))].toSorted()).toEqual(all);
    expect(published.flatMap(({ problems }) => problems)).toEqual([]);
    for (const schema of ['orders', 'payments'] as const) {
      const ids = sent.filter((message) => message.schema === schema).map(({ id }) => id);
      const known = await database.sql(`select distinct message_id from ${schema}.inbox where message_id = any($1)`, [
        ids,
      ]);
      expect(known).toHaveLength(ids.length);
      expect(
        await database.sql(`select type, error from ${schema}.inbox_parked where message_id = any($1)`, [ids]),
      ).toEqual([]);
    }
  });

  it('a message that is sent after the end of the Java process is reported', async () => {
    await java.stop();

    await expect(java.send(ofOrders.orderEvents, 'OrderFinished.v1', {})).rejects.toThrow('has ended');
  });
});
