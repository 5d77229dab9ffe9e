// Creates demo orders: orders of several customers in every status, created through the two public APIs. If they exist already, only
// those whose payment has expired are placed again. Needs nothing but node and the files beside it, so that it also runs as a one-shot
// container.
// Environment: ORDER_URL, PAYMENT_URL; WEBHOOK_SECRET (the one of payment-service; without it no order is refunded); with AUTH_MODE=jwt also
// TOKEN_URL, of the local OpenID provider.
import { randomUUID } from 'node:crypto';
import { Demo } from './demo.js';
import { DEMO_ORDERS, type DemoOrder } from './demo-scenarios.js';
import { get, type Order, ORDERS, RequestFailed } from './service-requests.js';

const CONCURRENCY = 6;

/** Whether the demo orders exist. The last one is the evidence: it is created after all others and, as a cart, cannot lack stock. */
async function demoOrdersExist(): Promise<boolean> {
  const { items } = await get<{ items: Order[] }>(`${ORDERS}/orders?sort=created&limit=100`, { 'x-user-id': 'demo' });
  const ofDemo = DEMO_ORDERS.filter(({ customer }) => customer === 'demo').length;
  return items.length >= ofDemo || items.some(({ description }) => description === DEMO_ORDERS.at(-1)?.description);
}

async function createAll(): Promise<void> {
  const demo = (order: DemoOrder) => new Demo(order, `demo-orders-1-${DEMO_ORDERS.indexOf(order)}`).run();
  const last = DEMO_ORDERS.at(-1);
  const waiting = DEMO_ORDERS.slice(0, -1).values();
  const worker = async () => {
    for (const order of waiting) await demo(order);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  if (last) await demo(last);
}

/**
 * Places the orders again that should be waiting for their payment but whose payment has expired, which it does after some minutes.
 * Orders that somebody has paid or cancelled stay as they are. Returns how many are waiting again.
 */
async function replaceExpired(): Promise<number> {
  const expired: DemoOrder[] = [];
  for (const customer of new Set(DEMO_ORDERS.map((order) => order.customer))) {
    const newestFirst = await get<{ items: Order[] }>(`${ORDERS}/orders?sort=-created&limit=100`, {
      'x-user-id': customer,
    });
    const waiting = DEMO_ORDERS.filter((order) => order.customer === customer && order.scenario === 'waiting');
    for (const order of waiting) {
      const newest = newestFirst.items.find((other) => contentsOf(other) === contentsOf(order));
      if (newest && hasExpired(newest)) expired.push(order);
    }
  }
  // Needs new keys: under the original ones the responses may still be stored.
  let replaced = 0;
  for (const order of expired) if (await new Demo(order, `demo-orders-1-${randomUUID()}`).run()) replaced++;
  return replaced;
}

/**
 * Whether the order was cancelled because its payment expired. The payment status does not tell: the payment of an order cancelled by a
 * user may expire right afterwards.
 */
function hasExpired({ status, cancelReason }: Order): boolean {
  return status === 'CANCELLED' && cancelReason === 'payment failed: expired';
}

function contentsOf({ description, items }: Pick<DemoOrder, 'description' | 'items'>): string {
  const lines = items.map(({ productId, quantity }) => `${productId} ${quantity}`);
  return [description ?? '', ...lines.toSorted()].join('\n');
}

async function main(): Promise<void> {
  if (await demoOrdersExist()) {
    const replaced = await replaceExpired();
    console.log(`The demo orders exist already; ${replaced} of them had expired and were placed again.`);
  } else {
    await createAll();
    console.log('The demo orders have been created.');
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof RequestFailed ? error.message : error);
  process.exit(1);
}
