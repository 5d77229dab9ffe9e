// A few orders to look at, made through the two APIs like anybody's. Does nothing where the user demo has orders already.
// Needs only node, so that it also runs as a one-shot container. Environment: ORDER_URL, PAYMENT_URL.
import { setTimeout as sleep } from 'node:timers/promises';

const ORDERS = process.env['ORDER_URL'] ?? 'http://127.0.0.1:8081';
const PAYMENTS = process.env['PAYMENT_URL'] ?? 'http://127.0.0.1:8082';
const CUSTOMER = { 'x-user-id': 'demo' };
const OPERATOR = { 'x-user-id': 'ops', 'x-roles': 'operator' };

interface List<T> {
  readonly items: readonly T[];
}

/** One request; a network failure or a 5xx is tried again for a while, for the services may just be starting. */
async function call<T>(url: string, headers: Record<string, string>, body?: object | 'empty'): Promise<T> {
  const post = body === undefined ? {} : { method: 'POST' };
  const json = typeof body === 'object' ? { body: JSON.stringify(body) } : {};
  const contentType = typeof body === 'object' ? { 'content-type': 'application/json' } : {};
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(url, {
        ...post,
        ...json,
        headers: { ...headers, ...contentType },
        signal: AbortSignal.timeout(10_000),
      });
      const text = await response.text();
      if (response.ok) return JSON.parse(text) as T;
      if (response.status < 500 || attempt === 10)
        throw new Refused(`${body ? 'POST' : 'GET'} ${url}: ${response.status} ${text}`);
    } catch (error) {
      if (error instanceof Refused) throw error;
      if (attempt === 10) throw new Refused(`${url}: ${(error as Error).message}`);
    }
    await sleep(500);
  }
}

class Refused extends Error {}

async function place(description: string, ...items: { productId: string; quantity: number }[]): Promise<string> {
  const { id } = await call<{ id: string }>(`${ORDERS}/orders`, CUSTOMER, { description, items });
  return id;
}

/** The request that payment-service made when it heard of the order. */
async function paymentRequestOf(orderId: string): Promise<string> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const { items } = await call<List<{ id: string }>>(`${PAYMENTS}/payment-requests?orderId=${orderId}`, OPERATOR);
    if (items[0]) return items[0].id;
    if (Date.now() > deadline)
      throw new Refused(
        `No payment request for the order ${orderId} within 60 s: is Kafka reachable for both services?`,
      );
    await sleep(100);
  }
}

async function main(): Promise<void> {
  const { items } = await call<List<unknown>>(`${ORDERS}/orders`, CUSTOMER);
  if (items.length > 0) return console.log('The user demo has orders already: nothing to do.');

  const paid = await place(
    'Tea for two',
    { productId: 'tea-earl-grey', quantity: 2 },
    { productId: 'mug-stoneware', quantity: 2 },
  );
  const declined = await place('Coffee for the office', { productId: 'coffee-espresso', quantity: 10 });
  const waiting = await place('A spare mug', { productId: 'mug-stoneware', quantity: 1 });

  await call(`${PAYMENTS}/payment-requests/${await paymentRequestOf(paid)}/succeed`, OPERATOR, 'empty');
  await call(`${PAYMENTS}/payment-requests/${await paymentRequestOf(declined)}/fail`, OPERATOR, {
    reason: 'card declined',
  });
  await paymentRequestOf(waiting);
  console.log('Three orders of the user demo: one paid, one declined, one waiting for its payment.');
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Refused ? error.message : error);
  process.exit(1);
}
