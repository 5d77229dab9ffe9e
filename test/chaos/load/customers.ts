import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, acceptedOf, type Calls, type Outcome, outcomeOf, type Request } from './calls.js';
import { Random } from '../random.js';
import { PRODUCTS } from '../system/shop.js';

/** A customer's attempt to place an order. Each customer makes only one, so that its result can be found. */
export interface OrderAttempt {
  readonly customerId: string;
  /** Abandoned: a cart that the customer has not placed. */
  readonly outcome: Outcome | 'abandoned';
  /** The order ids in the answers. More than one is an error. */
  readonly orderIds: readonly string[];
  /** The total in the accepted answer. */
  readonly total?: number;
  /** The time of the slowest answer. */
  readonly tookMs: number;
}

/** A conditional change of a cart: valid only for the version that the customer has seen. */
export interface Edit {
  readonly orderId: string;
  /** The version that the customer has seen. */
  readonly expected: number;
  readonly outcome: Outcome;
}

/** A request to cancel or finish an order. */
export interface Command {
  readonly kind: 'cancel' | 'finish';
  readonly orderId: string;
  readonly outcome: Outcome;
  /** The status of the order that made the service refuse the request. */
  readonly actual?: string;
}

/** What all customers of a run share. */
export interface CustomerContext {
  readonly calls: Calls;
  readonly urls: readonly string[];
  readonly seed: number;
  /** Aborted when the customers must finish. */
  readonly closing: AbortSignal;
  readonly orderAttempts: OrderAttempt[];
  readonly edits: Edit[];
  readonly commands: Command[];
}

interface Order {
  readonly id: string;
  readonly version: number;
  readonly total: number;
  readonly items: readonly { readonly productId: string; readonly quantity: number; readonly unitPrice: number }[];
}

const MAX_CANCEL_DELAY_MS = 6000;

/** One customer, whose behaviour is determined by the seed and who knows nothing about the others. */
export class Customer {
  private readonly id: string;
  private readonly random: Random;
  private readonly headers: Readonly<Record<string, string>>;

  constructor(
    private readonly context: CustomerContext,
    private readonly nth: number,
  ) {
    this.id = `customer-${nth}`;
    this.random = new Random(context.seed + nth * 7919);
    this.headers = { 'x-user-id': this.id };
  }

  async visit(): Promise<void> {
    const order = await (this.chance(0.35) ? this.fillCart() : this.placeAtOnce());
    if (order === undefined || !this.chance(0.35)) return;
    // Immediately, while the payment is being processed, or after that.
    const cancelDelayMs = this.chance(0.3) ? 0 : this.random.between(0, MAX_CANCEL_DELAY_MS);
    await delay(cancelDelayMs, undefined, { signal: this.context.closing }).catch(() => undefined);
    if (!this.context.closing.aborted) await this.cancel(order);
  }

  private async placeAtOnce(): Promise<string | undefined> {
    const withPrice = this.chance(0.1);
    const items = this.randomItems().map((line) =>
      withPrice ? { ...line, unitPrice: firstPriceOf(line.productId) } : line,
    );
    const request = this.request('POST', '/orders', { items });
    // Without a key the request is sent only once, because repeating it would place another order.
    const answers = this.chance(0.5)
      ? await this.sendRepeatedly(request, 'place')
      : [await this.context.calls.ask(this.url(), request)];
    return this.placed(answers);
  }

  private async fillCart(): Promise<string | undefined> {
    const open = { draft: true, ...(this.chance(0.5) && { items: this.randomItems() }) };
    let [cart] = acceptedOf<Order>(await this.sendRepeatedly(this.request('POST', '/orders', open), 'open'));
    for (let edits = this.random.between(1, 4); cart && edits > 0; edits--) cart = await this.edit(cart);
    if (cart?.items.length === 0) cart = await this.edit(cart);
    if (!cart || cart.items.length === 0 || this.chance(0.1)) {
      this.context.orderAttempts.push({ customerId: this.id, outcome: 'abandoned', orderIds: [], tookMs: 0 });
      if (cart && this.chance(0.5)) await this.cancel(cart.id);
      return undefined;
    }
    return this.place(cart);
  }

  private async place(seen: Order): Promise<string | undefined> {
    let cart = seen;
    const answers: (Answer | undefined)[] = [];
    // A 412 is caused by an unanswered edit that took effect. Reload the cart and try again.
    for (let attempts = 0; attempts < 3; attempts++) {
      const prices = cart.items.map(({ productId, unitPrice }) => ({ productId, unitPrice }));
      const request = this.request('POST', `/orders/${cart.id}/place`, this.chance(0.3) ? { items: prices } : {});
      const sent = await this.sendRepeatedly(ifMatch(request, cart), `place-${attempts}`);
      this.context.edits.push({ orderId: cart.id, expected: cart.version, outcome: outcomeOf(sent) });
      answers.push(...sent);
      if (!sent.some((answer) => answer?.status === 412)) break;
      cart = await this.reload(cart);
    }
    return this.placed(answers);
  }

  private placed(answers: readonly (Answer | undefined)[]): string | undefined {
    const orders = acceptedOf<Order>(answers);
    const orderIds = [...new Set(orders.map(({ id }) => id))];
    const tookMs = Math.max(0, ...answers.map((answer) => answer?.tookMs ?? 0));
    const [order] = orders;
    const attempt = { customerId: this.id, outcome: outcomeOf(answers), orderIds, tookMs };
    this.context.orderAttempts.push(order ? { ...attempt, total: order.total } : attempt);
    return order?.id;
  }

  /** Changes the cart. Sometimes sends two concurrent changes of the same version, of which at most one may be accepted. */
  private async edit(cart: Order): Promise<Order> {
    const sent = await Promise.all(
      Array.from({ length: this.chance(0.25) ? 2 : 1 }, async (_, n) => {
        const request = ifMatch(this.randomChange(cart), cart);
        const repeatable = request.method === 'POST' && this.chance(0.5);
        const answers = repeatable
          ? await this.sendRepeatedly(request, `edit-${cart.version}-${n}`)
          : [await this.context.calls.ask(this.url(n), request)];
        this.context.edits.push({ orderId: cart.id, expected: cart.version, outcome: outcomeOf(answers) });
        return answers;
      }),
    );
    const [edited] = acceptedOf<Order>(sent.flat());
    return edited ?? this.reload(cart);
  }

  private randomChange(cart: Order): Request {
    const path = `/orders/${cart.id}/items`;
    const [first, ...others] = cart.items;
    const roll = this.random.next();
    if (first && roll < 0.25) {
      const { productId, quantity } = this.random.oneOf([first, ...others]);
      return this.request('PATCH', `${path}/${productId}`, { quantity: quantity > 1 ? quantity - 1 : 2 });
    }
    if (first && roll < 0.45)
      return this.request('DELETE', `${path}/${this.random.oneOf([first, ...others]).productId}`);
    return this.request('POST', path, {
      productId: this.random.oneOf(PRODUCTS).id,
      quantity: this.random.between(1, 2),
    });
  }

  /** Reloads the cart. Returns it unchanged if the request is not answered. */
  private async reload(cart: Order): Promise<Order> {
    const [seen] = acceptedOf<Order>([
      await this.context.calls.ask(this.url(), this.request('GET', `/orders/${cart.id}`)),
    ]);
    return seen ?? cart;
  }

  private async cancel(orderId: string): Promise<void> {
    const request = this.request('POST', `/orders/${orderId}/cancel`, { reason: 'changed my mind' });
    const byOperator = { ...request, headers: { 'x-user-id': 'operator-0', 'x-roles': 'operator' } };
    const wanted = this.chance(0.1) ? byOperator : request;
    const answers = this.chance(0.5)
      ? await this.sendRepeatedly(wanted, 'cancel')
      : [await this.context.calls.ask(this.url(), wanted)];
    this.context.commands.push({ kind: 'cancel', orderId, ...resultOf(answers) });
  }

  private sendRepeatedly(request: Request, key: string): Promise<(Answer | undefined)[]> {
    const headers = { ...request.headers, 'idempotency-key': `${this.id}-${key}` };
    return this.context.calls.sendRepeatedly(this.context.urls, this.random, { ...request, headers });
  }

  private request(method: Request['method'], path: string, body?: object): Request {
    return { method, path, headers: this.headers, ...(body && { body }) };
  }

  private url(turn = 0): string {
    const { urls } = this.context;
    return urls[(this.nth + turn) % urls.length] ?? '';
  }

  private randomItems(): { productId: string; quantity: number }[] {
    const products = this.random.shuffled(PRODUCTS.slice(1)).slice(0, this.random.between(0, 2));
    // Usually the product that never sells out: otherwise half of the orders would be refused.
    if (products.length === 0 || this.chance(0.5)) products.push(PRODUCTS[0]);
    return this.random
      .shuffled(products)
      .map(({ id: productId }) => ({ productId, quantity: this.random.between(1, 3) }));
  }

  private chance(share: number): boolean {
    return this.random.next() < share;
  }
}

/** Returns the outcome of a command, and the actual status of the order if it was refused. */
export function resultOf(answers: readonly (Answer | undefined)[]): Pick<Command, 'outcome' | 'actual'> {
  const outcome = outcomeOf(answers);
  const actual = answers.map((answer) => (answer?.body as { actual?: unknown } | undefined)?.actual).find(Boolean);
  return outcome === 'refused' && typeof actual === 'string' ? { outcome, actual } : { outcome };
}

function ifMatch(request: Request, { version }: Order): Request {
  return { ...request, headers: { ...request.headers, 'if-match': `"${version}"` } };
}

function firstPriceOf(productId: string): number {
  return PRODUCTS.find(({ id }) => id === productId)?.price ?? 1;
}
