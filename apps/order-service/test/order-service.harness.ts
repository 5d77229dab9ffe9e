import { randomUUID } from 'node:crypto';
import { type PaymentEvent } from '@twinbox/contracts';
import { produce, type TestDatabase } from '@twinbox/messaging/testing';
import { type InProcessService, startInProcess } from '@twinbox/test-support';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { ApplyPaymentEvent } from '../src/application/apply-payment-event.js';
import { orderService } from '../src/service.js';

export type OrderServiceHarness = Awaited<ReturnType<typeof startOrderService>>;

/** The columns of the outbox that tests use. */
interface StoredMessage {
  readonly id: string;
  readonly type: string;
  readonly sequence: string;
  readonly payload: string;
}

type Counts = Readonly<Record<'orders' | 'items' | 'steps' | 'releases' | 'messages', number>> & {
  readonly available: string;
};

/** Starts order-service with helpers for its tests, on the given database if there is one. */
export async function startOrderService(env: Readonly<Record<string, string>> = {}, migrated?: Promise<TestDatabase>) {
  const service = await startInProcess(orderService, 'orders', env, migrated);
  return {
    ...service,
    ...callersOf(service),
    ...readersOf(service),

    /** Adds a product that no other test uses. */
    async aProduct(fields: { id?: string; name?: string; price?: number; currency?: string; stock?: number } = {}) {
      const { id = `p-${randomUUID()}`, name = 'Thing', price = 100, currency = 'EUR', stock = 10 } = fields;
      await service.database.sql(
        `insert into orders.products (id, name, price, currency, available, version, updated_at)
         values ($1, $2, $3, $4, $5, 1, now())`,
        [id, name, price, currency, stock],
      );
      return id;
    },

    /** Handles the event as if it came from payment-service. */
    async receives(event: PaymentEvent, messageId = randomUUID() as string): Promise<void> {
      await service.app
        .get(DataSource)
        .transaction((tx) => service.app.get(ApplyPaymentEvent).execute(tx, event, messageId));
    },

    /** Publishes PaymentRequested for the orders, as payment-service does. */
    async publishesPaymentRequested(orderIds: readonly string[]): Promise<void> {
      const records = orderIds.map((orderId) => ({
        key: orderId,
        value: JSON.stringify({ orderId, paymentRequestId: uuidv7(), expiresAt: new Date().toISOString() }),
        headers: {
          ce_id: uuidv7(),
          ce_source: '/payment-service',
          ce_type: 'PaymentRequested',
          ce_specversion: '1.0',
          ce_dataschema: 'urn:twinbox:event:PaymentRequested:1',
          'content-type': 'application/json',
        },
      }));
      await produce(service.topics.brokers, service.topics.paymentEvents, records);
    },
  };
}

function callersOf(service: InProcessService) {
  return {
    /** A new customer, unless the test names one. */
    aCustomer(userId = `customer ${randomUUID()}`, headers: Record<string, string> = {}) {
      return { userId, ...service.caller({ 'x-user-id': userId, ...headers }) };
    },

    /** A new operator, unless the test names one. */
    anOperator(userId = `operator ${randomUUID()}`) {
      return { userId, ...service.caller({ 'x-user-id': userId, 'x-roles': 'operator' }) };
    },
  };
}

function readersOf({ database }: InProcessService) {
  return {
    /** Reads the rows of an order, its items and its messages. */
    async stored(orderId: string) {
      const [[order], items, messages] = await Promise.all([
        database.sql('select * from orders.orders where id = $1', [orderId]),
        database.sql('select * from orders.order_items where order_id = $1 order by product_id', [orderId]),
        database.sql<StoredMessage>('select * from orders.outbox where aggregateid = $1 order by position', [orderId]),
      ]);
      return { order, items, messages };
    },

    /** Reads the rows of an order's timeline, oldest first. */
    async steps(orderId: string) {
      return database.sql('select * from orders.order_timeline where order_id = $1 order by position', [orderId]);
    },

    /** Counts all rows. */
    async counts() {
      const [row] = await database.sql<Counts>(`
        select (select count(*)::int from orders.orders) as orders,
               (select count(*)::int from orders.order_items) as items,
               (select count(*)::int from orders.order_timeline) as steps,
               (select sum(available) from orders.products) as available,
               (select count(*)::int from orders.stock_releases) as releases,
               (select count(*)::int from orders.outbox) as messages`);
      if (!row) throw new Error('nothing can be counted');
      return row;
    },
  };
}

export function aCart(fields: Record<string, unknown> = {}) {
  return { items: [aLine()], ...fields };
}

export function aLine(fields: Record<string, unknown> = {}) {
  return { productId: 'tea', quantity: 2, ...fields };
}
