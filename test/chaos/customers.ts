import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, acceptedOf, type Calls, type Outcome, outcomeOf, type Request } from './calls.js';
import { Random } from './random.js';
import { PRODUCTS } from './shop.js';

/** What a customer wanted to buy: each wants one order, so that what came of it can be found. */
export interface Placing {
  readonly customerId: string;
  /** Unasked: a cart that was never to be placed. */
  readonly outcome: Outcome | 'unasked';
  /** What the answers called the order; more than one is wrong. */
  readonly orderIds: readonly string[];
  /** As it was accepted. */
  readonly total?: number;
  /** How long the slowest of the answers took. */
  readonly tookMs: number;
}

/** A change of a cart that was to be made only if nobody had made another. */
export interface Edit {
  readonly orderId: string;
  /** The version that the customer had seen. */
  readonly expected: number;
  readonly outcome: Outcome;
}

/** Somebody wanted an order to be cancelled or finished. */
export interface Command {
  readonly kind: 'cancel' | 'finish';
  readonly orderId: string;
  readonly outcome: Outcome;
  /** Why not: the status that the order had. */
  readonly actual?: string;
}

/** What the customers of a run share. */
export interface ShopFront {
  readonly calls: Calls;
  readonly urls: readonly string[];
  readonly seed: number;
  /** Aborts when the customers are to come to an end. */
  readonly closing: AbortSignal;
  readonly placings: Placing[];
  readonly edits: Edit[];
  readonly commands: Command[];
}

interface Order {
  readonly id: string;
  readonly version: number;
  readonly total: number;
  readonly items: readonly { readonly productId: string; readonly quantity: number; readonly unitPrice: number }[];
}

const LONGEST_DOUBT_MS = 6000;

/** One customer, with a tale that follows from the seed. Knows of nobody else. */
export class Customer {
  private readonly id: string;
  private readonly random: Random;
  private readonly headers: Readonly<Record<string, string>>;

  constructor(
    private readonly front: ShopFront,
    private readonly nth: number,
  ) {
    this.id = `customer-${nth}`;
    this.random = new Random(front.seed + nth * 7919);
    this.headers = { 'x-user-id': this.id };
  }

  async visit(): Promise<void> {
    const order = await (this.chance(0.35) ? this.fillCart() : this.placeAtOnce());
    if (order === undefined || !this.chance(0.35)) return;
    // At once, while the payment is on its way, or when it is there already.
    const doubtMs = this.chance(0.3) ? 0 : this.random.between(0, LONGEST_DOUBT_MS);
    await delay(doubtMs, undefined, { signal: this.front.closing }).catch(() => undefined);
    if (!this.front.closing.aborted) await this.cancel(order);
  }

  private async placeAtOnce(): Promise<string | undefined> {
    const withPrice = this.chance(0.1);
    const items = this.lines().map((line) => (withPrice ? { ...line, unitPrice: firstPriceOf(line.productId) } : line));
    const request = this.request('POST', '/orders', { items });
    // Without a key it is asked once: again it would be another order.
    const answers = this.chance(0.5)
      ? await this.insist(request, 'place')
      : [await this.front.calls.ask(this.url(), request)];
    return this.placed(answers);
  }

  private async fillCart(): Promise<string | undefined> {
    const open = { draft: true, ...(this.chance(0.5) && { items: this.lines() }) };
    let [cart] = acceptedOf<Order>(await this.insist(this.request('POST', '/orders', open), 'open'));
    for (let edits = this.random.between(1, 4); cart && edits > 0; edits--) cart = await this.edit(cart);
    if (cart?.items.length === 0) cart = await this.edit(cart);
    if (!cart || cart.items.length === 0 || this.chance(0.1)) {
      this.front.placings.push({ customerId: this.id, outcome: 'unasked', orderIds: [], tookMs: 0 });
      if (cart && this.chance(0.5)) await this.cancel(cart.id);
      return undefined;
    }
    return this.place(cart);
  }

  private async place(seen: Order): Promise<string | undefined> {
    let cart = seen;
    const answers: (Answer | undefined)[] = [];
    // A 412 is due to an edit without an answer. Another look, and the same once more.
    for (let looks = 0; looks < 3; looks++) {
      const prices = cart.items.map(({ productId, unitPrice }) => ({ productId, unitPrice }));
      const request = this.request('POST', `/orders/${cart.id}/place`, this.chance(0.3) ? { items: prices } : {});
      const sent = await this.insist(ifMatch(request, cart), `place-${looks}`);
      this.front.edits.push({ orderId: cart.id, expected: cart.version, outcome: outcomeOf(sent) });
      answers.push(...sent);
      if (!sent.some((answer) => answer?.status === 412)) break;
      cart = await this.look(cart);
    }
    return this.placed(answers);
  }

  private placed(answers: readonly (Answer | undefined)[]): string | undefined {
    const orders = acceptedOf<Order>(answers);
    const orderIds = [...new Set(orders.map(({ id }) => id))];
    const tookMs = Math.max(0, ...answers.map((answer) => answer?.tookMs ?? 0));
    const [order] = orders;
    const placing = { customerId: this.id, outcome: outcomeOf(answers), orderIds, tookMs };
    this.front.placings.push(order ? { ...placing, total: order.total } : placing);
    return order?.id;
  }

  /** Sometimes two at the same time, which have seen the same: one of them at most may be accepted. */
  private async edit(cart: Order): Promise<Order> {
    const sent = await Promise.all(
      Array.from({ length: this.chance(0.25) ? 2 : 1 }, async (_, n) => {
        const request = ifMatch(this.changeOf(cart), cart);
        const repeatable = request.method === 'POST' && this.chance(0.5);
        const answers = repeatable
          ? await this.insist(request, `edit-${cart.version}-${n}`)
          : [await this.front.calls.ask(this.url(n), request)];
        this.front.edits.push({ orderId: cart.id, expected: cart.version, outcome: outcomeOf(answers) });
        return answers;
      }),
    );
    const [edited] = acceptedOf<Order>(sent.flat());
    return edited ?? this.look(cart);
  }

  private changeOf(cart: Order): Request {
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

  /** The cart as it is now; as it was seen last, when nobody answers. */
  private async look(cart: Order): Promise<Order> {
    const [seen] = acceptedOf<Order>([
      await this.front.calls.ask(this.url(), this.request('GET', `/orders/${cart.id}`)),
    ]);
    return seen ?? cart;
  }

  private async cancel(orderId: string): Promise<void> {
    const request = this.request('POST', `/orders/${orderId}/cancel`, { reason: 'changed my mind' });
    const byOperator = { ...request, headers: { 'x-user-id': 'operator-0', 'x-roles': 'operator' } };
    const wanted = this.chance(0.1) ? byOperator : request;
    const answers = this.chance(0.5)
      ? await this.insist(wanted, 'cancel')
      : [await this.front.calls.ask(this.url(), wanted)];
    this.front.commands.push({ kind: 'cancel', orderId, ...resultOf(answers) });
  }

  private insist(request: Request, key: string): Promise<(Answer | undefined)[]> {
    const headers = { ...request.headers, 'idempotency-key': `${this.id}-${key}` };
    return this.front.calls.insist(this.front.urls, this.random, { ...request, headers });
  }

  private request(method: Request['method'], path: string, body?: object): Request {
    return { method, path, headers: this.headers, ...(body && { body }) };
  }

  private url(turn = 0): string {
    const { urls } = this.front;
    return urls[(this.nth + turn) % urls.length] ?? '';
  }

  private lines(): { productId: string; quantity: number }[] {
    const products = this.random.shuffled(PRODUCTS.slice(1)).slice(0, this.random.between(0, 2));
    // Of the one that is always there most of the time: else half of the orders would be refused.
    if (products.length === 0 || this.chance(0.5)) products.push(PRODUCTS[0]);
    return this.random
      .shuffled(products)
      .map(({ id: productId }) => ({ productId, quantity: this.random.between(1, 3) }));
  }

  private chance(share: number): boolean {
    return this.random.next() < share;
  }
}

/** What became of a command, and what a refusal said of the order. */
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
