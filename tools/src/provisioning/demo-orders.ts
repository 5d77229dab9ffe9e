// Creates demo orders: orders of several customers in every status, created through the two public APIs. If they exist already, only
// those whose payment has expired are placed again. Needs nothing but node and is a single file, so that it also runs as a one-shot
// container.
// Environment: ORDER_URL, PAYMENT_URL; WEBHOOK_SECRET (the one of payment-service; without it no order is refunded).
import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const ORDERS = process.env['ORDER_URL'] ?? 'http://127.0.0.1:8081';
const PAYMENTS = process.env['PAYMENT_URL'] ?? 'http://127.0.0.1:8082';
// There may be several secrets; a signature with any of them is valid.
const [WEBHOOK_SECRET] = process.env['WEBHOOK_SECRET']?.split(/[\s,]+/) ?? [];
const OPERATOR = { 'x-user-id': 'ops', 'x-roles': 'operator' };
const CONCURRENCY = 6;

/** What happens to a demo order, and so in which status it ends. */
type Scenario =
  | 'cart'
  | 'discarded'
  | 'waiting'
  | 'paid'
  | 'finished'
  | 'declined'
  | 'cancelled'
  | 'cancelled by the shop'
  | 'refunded';

interface DemoOrder {
  readonly customer: string;
  readonly scenario: Scenario;
  readonly description: string | null;
  readonly items: readonly { readonly productId: string; readonly quantity: number }[];
}

/** Describes a demo order. The items are products with optional quantities: `tea-assam 2, mug-stoneware`. */
function order(customer: string, scenario: Scenario, items: string, description: string | null = null): DemoOrder {
  const lines = items.split(', ').filter((line) => line !== '');
  const read = (line: string) => {
    const [productId = '', quantity = '1'] = line.split(' ');
    return { productId, quantity: Number(quantity) };
  };
  return { customer, scenario, description, items: lines.map(read) };
}

/** Varied in status, customer, product, total and currency, so that every filter finds something. The last one must be a cart of `demo`. */
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
  order('grace', 'cancelled by the shop', 'tin-vintage 2'),
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

class RequestFailed extends Error {
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message);
  }
}

/** Sends a request. Retries for a while after a network failure or a 5xx, because the services may still be starting. */
async function send<T>(url: string, init: RequestInit): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
      const text = await response.text();
      if (response.ok) return JSON.parse(text) as T;
      if (response.status < 500 || attempt === 10)
        throw new RequestFailed(`${init.method ?? 'GET'} ${url}: ${response.status} ${text}`, response.status);
    } catch (error) {
      if (error instanceof RequestFailed) throw error;
      if (attempt === 10) throw new RequestFailed(`${url}: ${(error as Error).message}`);
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

/** Waits until the order meets the condition: its payment takes a moment, because it goes through Kafka and back. */
async function waitForOrder(id: string, condition: (order: Order) => boolean): Promise<Order> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const order = await get<Order>(`${ORDERS}/orders/${id}`, OPERATOR);
    if (condition(order)) return order;
    if (Date.now() > deadline)
      throw new RequestFailed(`Order ${id} is still ${order.status} after 60 s. Can both services reach Kafka?`);
    await sleep(50);
  }
}

/** Sends a webhook in place of the payment provider, signed according to https://www.standardwebhooks.com. */
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

/** Takes one demo order through its scenario. */
class Demo {
  private readonly customer: Headers;

  /** @param key prefix of the idempotency keys, so that steps completed before an interruption are not repeated */
  constructor(
    private readonly order: DemoOrder,
    private readonly key: string,
  ) {
    this.customer = { 'x-user-id': order.customer };
  }

  /** Returns whether the scenario could be completed. */
  async run(): Promise<boolean> {
    const { items, description, scenario } = this.order;
    const draft = scenario === 'cart' || scenario === 'discarded';
    try {
      const { id } = await post<Order>(`${ORDERS}/orders`, this.withKey('open', this.customer), {
        draft,
        items,
        description,
      });
      await this.play(scenario, id);
      return true;
    } catch (error) {
      // In a shop that is in use, a product may be sold out; after a long interruption, a payment may have expired.
      if (!(error instanceof RequestFailed && error.status === 409)) throw error;
      return false;
    }
  }

  private async play(scenario: Scenario, id: string): Promise<void> {
    const order = `${ORDERS}/orders/${id}`;
    switch (scenario) {
      case 'cart':
        return;
      case 'discarded':
        await post(`${order}/cancel`, this.withKey('cancel', this.customer), { reason: 'Not this month.' });
        return;
      case 'waiting':
        await this.paymentOf(id);
        return;
      case 'paid':
      case 'finished':
        await post(`${await this.paymentOf(id)}/succeed`, this.withKey('succeed', OPERATOR));
        await waitForOrder(id, ({ status }) => status === 'COMPLETED' || status === 'FINISHED');
        if (scenario === 'finished') await post(`${order}/finish`, this.withKey('finish', OPERATOR));
        return;
      case 'declined':
        await post(`${await this.paymentOf(id)}/fail`, this.withKey('fail', OPERATOR), { reason: 'card declined' });
        await waitForOrder(id, ({ status }) => status === 'CANCELLED');
        return;
      case 'cancelled by the shop':
        await this.paymentOf(id);
        await post(`${order}/cancel`, this.withKey('cancel', OPERATOR), { reason: 'The last one has a dent.' });
        return;
      case 'cancelled':
      case 'refunded':
        await this.paymentOf(id);
        await post(`${order}/cancel`, this.withKey('cancel', this.customer), { reason: 'I have changed my mind.' });
        if (scenario === 'refunded' && WEBHOOK_SECRET) await this.payLate(WEBHOOK_SECRET, id);
    }
  }

  /** Reports a payment for an order that is cancelled already, which is then refunded. */
  private async payLate(secret: string, id: string): Promise<void> {
    const { payment } = await waitForOrder(id, (order) => order.payment?.status !== 'PENDING');
    const data = { paymentRequestId: payment?.paymentRequestId };
    await sendWebhook(secret, `demo-${payment?.paymentRequestId}`, {
      type: 'payment.succeeded',
      timestamp: new Date(),
      data,
    });
    await waitForOrder(id, (order) => order.payment?.status === 'REFUNDED');
  }

  private async paymentOf(id: string): Promise<string> {
    const { payment } = await waitForOrder(id, (order) => order.payment !== null);
    return `${PAYMENTS}/payment-requests/${payment?.paymentRequestId}`;
  }

  private withKey(step: string, headers: Headers): Headers {
    return { ...headers, 'idempotency-key': `${this.key}-${step}` };
  }
}

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
