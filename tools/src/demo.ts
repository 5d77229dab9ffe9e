// A small shop to look at: orders of several customers in every status, made through the two APIs like anybody's. Where they are there
// already, it only places those again whose payment has expired. Needs only node and is one file, so that it also runs as a one-shot
// container.
// Environment: ORDER_URL, PAYMENT_URL; WEBHOOK_SECRET (that of payment-service: without it no order is refunded).
import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const ORDERS = process.env['ORDER_URL'] ?? 'http://127.0.0.1:8081';
const PAYMENTS = process.env['PAYMENT_URL'] ?? 'http://127.0.0.1:8082';
// There may be several; each is good for a signature.
const [WEBHOOK_SECRET] = process.env['WEBHOOK_SECRET']?.split(/[\s,]+/) ?? [];
const OPERATOR = { 'x-user-id': 'ops', 'x-roles': 'operator' };
const AT_A_TIME = 6;

/** What becomes of a demo order, by the path it takes through the two APIs. */
type Fate =
  | 'cart'
  | 'discarded'
  | 'waiting'
  | 'paid'
  | 'finished'
  | 'declined'
  | 'cancelled'
  | 'refused by the shop'
  | 'refunded';

interface DemoOrder {
  readonly customer: string;
  readonly fate: Fate;
  readonly description: string | null;
  readonly items: readonly { readonly productId: string; readonly quantity: number }[];
}

/** `tea-assam 2, mug-stoneware` → two products, of the first of which two pieces. */
function order(customer: string, fate: Fate, items: string, description: string | null = null): DemoOrder {
  const lines = items.split(', ').filter((line) => line !== '');
  const read = (line: string) => {
    const [productId = '', quantity = '1'] = line.split(' ');
    return { productId, quantity: Number(quantity) };
  };
  return { customer, fate, description, items: lines.map(read) };
}

/** Statuses, customers, products, totals and currencies that make every filter worth a try. The last is a cart of demo. */
const DEMO_ORDERS: readonly DemoOrder[] = [
  order('ada', 'paid', 'tea-darjeeling 2, pot-glass', 'For the office on the second floor'),
  order('ada', 'paid', 'coffee-filter 4, filter-papers 2'),
  order('ada', 'finished', 'tea-earl-grey 3'),
  order('ada', 'finished', 'mug-stoneware 6, tea-assam', 'Gift-wrapped, please'),
  order('ada', 'waiting', 'kettle-gooseneck'),
  order('ada', 'declined', 'coffee-geisha'),
  order('ada', 'cancelled', 'grinder-hand'),
  order('ada', 'cart', 'tea-matcha, whisk-bamboo'),
  order('ada', 'paid', 'book-coffee-atlas'),
  order('grace', 'paid', 'tea-sencha 5'),
  order('grace', 'finished', 'pot-cast-iron, tea-oolong 2', 'Ring twice'),
  order('grace', 'finished', 'coffee-espresso 10', 'Coffee for the whole team'),
  order('grace', 'waiting', 'tea-rooibos 2, tea-peppermint 2'),
  order('grace', 'waiting', 'gift-card-100 2', 'For the raffle'),
  order('grace', 'declined', 'pot-cast-iron 3'),
  order('grace', 'refunded', 'scale-brewing'),
  order('grace', 'discarded', 'mug-travel 2'),
  order('grace', 'refused by the shop', 'tin-vintage 2'),
  order('grace', 'paid', 'gift-card-25'),
  order('linus', 'paid', 'coffee-espresso 2'),
  order('linus', 'paid', 'coffee-decaf'),
  order('linus', 'finished', 'mug-travel, coffee-filter'),
  order('linus', 'waiting', 'coffee-espresso 50, filter-papers 20', 'A whole conference is thirsty'),
  order('linus', 'declined', 'kettle-gooseneck, scale-brewing, pot-glass'),
  order('linus', 'cancelled', 'coffee-filter'),
  order('linus', 'cart', ''),
  order('linus', 'finished', 'book-tea-ways 2'),
  order('margaret', 'finished', 'tea-assam 10, tea-earl-grey 10', 'Leave it at the back door'),
  order('margaret', 'paid', 'tea-peppermint'),
  order('margaret', 'waiting', 'mug-stoneware 24', 'New mugs for the canteen'),
  order('margaret', 'refunded', 'gift-card-25 4'),
  order('margaret', 'cancelled', 'book-tea-ways'),
  order('demo', 'finished', 'tea-sencha, tea-oolong', 'The first order'),
  order('demo', 'paid', 'tea-earl-grey 2, mug-stoneware 2', 'Tea for two'),
  order('demo', 'paid', 'filter-papers'),
  order('demo', 'declined', 'coffee-espresso 10', 'Coffee for the office'),
  order('demo', 'waiting', 'mug-stoneware', 'A spare mug'),
  order('demo', 'waiting', 'book-coffee-atlas, tin-vintage', 'From overseas'),
  order('demo', 'cancelled', 'pot-glass 2'),
  order('demo', 'refunded', 'pot-cast-iron', 'Too heavy after all'),
  order('demo', 'cart', 'tea-darjeeling 2, tea-matcha', 'For the weekend'),
];

type Headers = Readonly<Record<string, string>>;

interface Order {
  readonly id: string;
  readonly status: string;
  readonly description: string | null;
  readonly items: DemoOrder['items'];
  readonly cancelReason: string | null;
  readonly payment: {
    readonly paymentRequestId: string;
    readonly status: string;
  } | null;
}

class Refused extends Error {
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message);
  }
}

/** One request; a network failure or a 5xx is tried again for a while, for the services may just be starting. */
async function send<T>(url: string, init: RequestInit): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
      const text = await response.text();
      if (response.ok) return JSON.parse(text) as T;
      if (response.status < 500 || attempt === 10)
        throw new Refused(`${init.method ?? 'GET'} ${url}: ${response.status} ${text}`, response.status);
    } catch (error) {
      if (error instanceof Refused) throw error;
      if (attempt === 10) throw new Refused(`${url}: ${(error as Error).message}`);
    }
    await sleep(500);
  }
}

function get<T>(url: string, headers: Headers): Promise<T> {
  return send(url, { headers });
}

function post<T>(url: string, headers: Headers, body?: object): Promise<T> {
  if (!body) return send(url, { method: 'POST', headers });
  const json = { 'content-type': 'application/json' };
  return send(url, { method: 'POST', headers: { ...headers, ...json }, body: JSON.stringify(body) });
}

/** Waits until the order is as expected; its payment takes the way through Kafka, and back. */
async function orderThat(id: string, is: (order: Order) => boolean): Promise<Order> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const order = await get<Order>(`${ORDERS}/orders/${id}`, OPERATOR);
    if (is(order)) return order;
    if (Date.now() > deadline)
      throw new Refused(`The order ${id} is still ${order.status} after 60 s: is Kafka reachable for both services?`);
    await sleep(50);
  }
}

/** What the payment provider would send, signed as https://www.standardwebhooks.com say. */
async function sendWebhook(secret: string, id: string, body: object): Promise<void> {
  const timestamp = `${Math.floor(Date.now() / 1000)}`;
  const text = JSON.stringify(body);
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest('base64');
  await send(`${PAYMENTS}/webhooks/payments`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
    },
    body: text,
  });
}

/** One demo order, from its first request to its fate. */
class Demo {
  private readonly customer: Headers;

  /** `key`: what was done of it before an interruption is answered again, and not done again. */
  constructor(
    private readonly order: DemoOrder,
    private readonly key: string,
  ) {
    this.customer = { 'x-user-id': order.customer };
  }

  /** Returns whether the order has reached its fate. */
  async run(): Promise<boolean> {
    const { items, description, fate } = this.order;
    const draft = fate === 'cart' || fate === 'discarded';
    try {
      const { id } = await post<Order>(`${ORDERS}/orders`, this.once('open', this.customer), {
        draft,
        items,
        description,
      });
      await this.reach(fate, id);
      return true;
    } catch (error) {
      // In a shop in use something may be sold out; and after an interruption of some length a payment may have expired.
      if (!(error instanceof Refused && error.status === 409)) throw error;
      return false;
    }
  }

  private async reach(fate: Fate, id: string): Promise<void> {
    const order = `${ORDERS}/orders/${id}`;
    switch (fate) {
      case 'cart':
        return;
      case 'discarded':
        await post(`${order}/cancel`, this.once('cancel', this.customer), { reason: 'Not this month.' });
        return;
      case 'waiting':
        await this.paymentOf(id);
        return;
      case 'paid':
      case 'finished':
        await post(`${await this.paymentOf(id)}/succeed`, this.once('succeed', OPERATOR));
        await orderThat(id, ({ status }) => status === 'COMPLETED' || status === 'FINISHED');
        if (fate === 'finished') await post(`${order}/finish`, this.once('finish', OPERATOR));
        return;
      case 'declined':
        await post(`${await this.paymentOf(id)}/fail`, this.once('fail', OPERATOR), { reason: 'card declined' });
        await orderThat(id, ({ status }) => status === 'CANCELLED');
        return;
      case 'refused by the shop':
        await this.paymentOf(id);
        await post(`${order}/cancel`, this.once('cancel', OPERATOR), { reason: 'The last one has a dent.' });
        return;
      case 'cancelled':
      case 'refunded':
        await this.paymentOf(id);
        await post(`${order}/cancel`, this.once('cancel', this.customer), { reason: 'I have changed my mind.' });
        if (fate === 'refunded' && WEBHOOK_SECRET) await this.payTooLate(WEBHOOK_SECRET, id);
    }
  }

  /** The provider has the money of an order that is cancelled: it goes back. */
  private async payTooLate(secret: string, id: string): Promise<void> {
    const { payment } = await orderThat(id, (order) => order.payment?.status !== 'PENDING');
    const data = { paymentRequestId: payment?.paymentRequestId };
    await sendWebhook(secret, `demo-${payment?.paymentRequestId}`, {
      type: 'payment.succeeded',
      timestamp: new Date(),
      data,
    });
    await orderThat(id, (order) => order.payment?.status === 'REFUNDED');
  }

  private async paymentOf(id: string): Promise<string> {
    const { payment } = await orderThat(id, (order) => order.payment !== null);
    return `${PAYMENTS}/payment-requests/${payment?.paymentRequestId}`;
  }

  private once(step: string, headers: Headers): Headers {
    return { ...headers, 'idempotency-key': `${this.key}-${step}` };
  }
}

/** Whether the demo orders were made before: the last one is a cart, which nothing can be short for, and comes after all others. */
async function areThere(): Promise<boolean> {
  const { items } = await get<{ items: Order[] }>(`${ORDERS}/orders?sort=created&limit=100`, { 'x-user-id': 'demo' });
  const ofDemo = DEMO_ORDERS.filter(({ customer }) => customer === 'demo').length;
  return items.length >= ofDemo || items.some(({ description }) => description === DEMO_ORDERS.at(-1)?.description);
}

async function makeAll(): Promise<void> {
  const demo = (order: DemoOrder) => new Demo(order, `demo-orders-1-${DEMO_ORDERS.indexOf(order)}`).run();
  const last = DEMO_ORDERS.at(-1);
  const waiting = DEMO_ORDERS.slice(0, -1).values();
  const inTurn = async () => {
    for (const order of waiting) await demo(order);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, inTurn));
  if (last) await demo(last);
}

/**
 * Places those orders again that are to wait for their payment and whose payment has expired, which takes minutes. Those that somebody
 * has paid or cancelled stay as they are. Returns how many wait again.
 */
async function renew(): Promise<number> {
  const expired: DemoOrder[] = [];
  for (const customer of new Set(DEMO_ORDERS.map((order) => order.customer))) {
    const newestFirst = await get<{ items: Order[] }>(`${ORDERS}/orders?sort=-created&limit=100`, {
      'x-user-id': customer,
    });
    const waiting = DEMO_ORDERS.filter((order) => order.customer === customer && order.fate === 'waiting');
    for (const order of waiting) {
      const newest = newestFirst.items.find((other) => contentsOf(other) === contentsOf(order));
      if (newest && hasExpired(newest)) expired.push(order);
    }
  }
  // Not the keys of the first time, under which the answer may be kept.
  let renewed = 0;
  for (const order of expired) if (await new Demo(order, `demo-orders-1-${randomUUID()}`).run()) renewed++;
  return renewed;
}

/** Cancelled because its payment was not made in time. The payment of an order that a person cancelled may expire just after that. */
function hasExpired({ status, cancelReason }: Order): boolean {
  return status === 'CANCELLED' && cancelReason === 'payment failed: expired';
}

function contentsOf({ description, items }: Pick<DemoOrder, 'description' | 'items'>): string {
  const lines = items.map(({ productId, quantity }) => `${productId} ${quantity}`);
  return [description ?? '', ...lines.toSorted()].join('\n');
}

async function main(): Promise<void> {
  if (await areThere()) {
    const renewed = await renew();
    console.log(`The demo orders are there already; ${renewed} of them wait for their payment again.`);
  } else {
    await makeAll();
    console.log('The demo orders are there.');
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Refused ? error.message : error);
  process.exit(1);
}
