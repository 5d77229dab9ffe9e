import { randomUUID } from 'node:crypto';
import { type PaymentEvent } from '@twinbox/contracts';
import { startInProcess } from '@twinbox/test-support';
import { DataSource } from 'typeorm';
import { HearPayment } from '../src/application/hear-payment.js';
import { orderService } from '../src/service.js';

export type OrderServiceHarness = Awaited<ReturnType<typeof startOrderService>>;

/** order-service, running, and what its tests do with it. */
export async function startOrderService() {
  const service = await startInProcess(orderService, 'orders');
  const { database } = service;
  return {
    ...service,

    /** A customer of the test's own, unless it names one. */
    aCustomer(userId = `customer ${randomUUID()}`, headers: Record<string, string> = {}) {
      return { userId, ...service.caller({ 'x-user-id': userId, ...headers }) };
    },

    /** An order as it is stored, with its items and messages. */
    async stored(orderId: string) {
      const [[order], items, messages] = await Promise.all([
        database.sql('select * from orders.orders where id = $1', [orderId]),
        database.sql('select * from orders.order_items where order_id = $1 order by product_id', [orderId]),
        database.sql('select * from orders.outbox where aggregateid = $1 order by position', [orderId]),
      ]);
      return { order, items, messages };
    },

    /** How much is stored at all. */
    async counts() {
      const [row] = await database.sql(`
        select (select count(*)::int from orders.orders) as orders,
               (select count(*)::int from orders.order_items) as items,
               (select count(*)::int from orders.outbox) as messages`);
      return row;
    },

    /** As if the message had come from payment-service. */
    async hears(heard: PaymentEvent): Promise<void> {
      await service.app.get(DataSource).transaction((tx) => service.app.get(HearPayment).execute(tx, heard));
    },
  };
}

export function aCart(fields: Record<string, unknown> = {}) {
  return { items: [aLine()], ...fields };
}

export function aLine(fields: Record<string, unknown> = {}) {
  return { productId: 'tea', quantity: 2, ...fields };
}
