import { v7 as uuidv7 } from 'uuid';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

async function anOrder(): Promise<string> {
  return (await service.aCustomer('ada').post('/orders', aCart())).body.id;
}

async function metrics(): Promise<string[]> {
  const { body } = await service.caller({}).get('/metrics');
  return String(body)
    .split('\n')
    .filter((text) => text.startsWith('orders_late{'));
}

/** Moves the due time of the order into the past. */
async function age(orderId: string, seconds: number): Promise<void> {
  await service.database.sql(`update orders.orders set due_at = due_at - make_interval(secs => $2) where id = $1`, [
    orderId,
    seconds,
  ]);
}

const isLate = async (orderId: string) => (await service.aCustomer('ada').get(`/orders/${orderId}`)).body.late;

it('P9 an order that waits too long for its payment request or its result is late and is counted', async () => {
  const [placed, pending, paid, fresh] = [await anOrder(), await anOrder(), await anOrder(), await anOrder()];
  for (const orderId of [pending, paid])
    await service.receives({
      type: 'PaymentRequested',
      data: { orderId, paymentRequestId: uuidv7(), expiresAt: new Date().toISOString() },
    });
  const before = await metrics();

  await age(placed, 61);
  await age(pending, 61);
  await age(paid, 61);
  await service.receives({
    type: 'PaymentSucceeded',
    data: { orderId: paid, paymentRequestId: await requestOf(paid) },
  });

  expect(before).toEqual(['orders_late{status="PLACED"} 0', 'orders_late{status="PAYMENT_PENDING"} 0']);
  expect(await Promise.all([placed, pending, paid, fresh].map(isLate))).toEqual([true, true, false, false]);
  expect(await metrics()).toEqual(['orders_late{status="PLACED"} 1', 'orders_late{status="PAYMENT_PENDING"} 1']);
});

async function requestOf(orderId: string): Promise<string> {
  return (await service.aCustomer('ada').get(`/orders/${orderId}`)).body.payment.paymentRequestId;
}
