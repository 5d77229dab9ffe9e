import { setTimeout as delay } from 'node:timers/promises';
import { acceptedOf, type Calls, otherShareOf, type Request, shareOf } from './calls.js';
import { type Command, resultOf } from './customers.js';
import { Random } from '../random.js';
import { PRODUCTS } from '../system/shop.js';

/** A payment result set by an operator and answered with 200. */
export interface PaymentDecision {
  readonly paymentRequestId: string;
  readonly status: 'SUCCEEDED' | 'FAILED';
}

/** A product as returned by its PUT. */
export interface ProductPut {
  readonly productId: string;
  readonly version: number;
  readonly available: number;
}

/** What all operators of a run share. */
export interface OperatorContext {
  readonly calls: Calls;
  readonly urls: { readonly orders: readonly string[]; readonly payments: readonly string[] };
  readonly seed: number;
  /** The share of payments that operators decide; the simulated gateway settles most of the others first. */
  readonly decidedShare: number;
  readonly closing: AbortSignal;
  readonly decisions: PaymentDecision[];
  readonly commands: Command[];
  readonly puts: ProductPut[];
}

interface Page {
  readonly items: readonly { readonly id: string }[];
  readonly nextCursor: string | null;
}

interface Product {
  readonly name: string;
  readonly currency: string;
  readonly version: number;
  readonly stock: number;
  readonly available: number;
}

const POLL_MS = 400;
const STOCK_EVERY_MS = [500, 2000] as const;
/** The share of payments that neither operators nor the provider decide: they expire, unless the gateway settles them. */
export const UNDECIDED_SHARE = 0.06;
/** The share of payments that the provider reports. */
export const PROVIDER_SHARE = 0.16;
const FINISHED_SHARE = 0.7;

/** An operator. Each replica has one; they process the same payments, orders and products, and know nothing of each other. */
export class Operator {
  private readonly headers: Readonly<Record<string, string>>;
  private readonly random: Random;

  constructor(
    private readonly context: OperatorContext,
    private readonly nth: number,
  ) {
    this.headers = { 'x-user-id': `operator-${nth}`, 'x-roles': 'operator' };
    this.random = new Random(context.seed + nth * 104_729);
  }

  /** Works until `closing` is aborted. */
  async work(): Promise<void> {
    await Promise.all([
      this.repeatedly(POLL_MS, POLL_MS, () => this.decideAll()),
      this.repeatedly(POLL_MS, 3 * POLL_MS, () => this.finishAll()),
      this.repeatedly(...STOCK_EVERY_MS, () => this.changeProduct()),
    ]);
  }

  private async decideAll(): Promise<void> {
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`;
      const page: Page | undefined = await this.page('payments', `/payment-requests?status=PENDING&limit=100${query}`);
      if (!page) return;
      await Promise.all(page.items.map(({ id }) => this.decide(id)));
      cursor = page.nextCursor;
    } while (cursor !== null && !this.context.closing.aborted);
  }

  private async decide(id: string): Promise<void> {
    const share = shareOf(id) - UNDECIDED_SHARE - PROVIDER_SHARE;
    if (share < 0 || share > this.context.decidedShare) return;
    // Determined by the id, so that both operators decide the same and a retry repeats the first attempt.
    const chance = otherShareOf(id);
    // For some payments the two decide differently, so one of them is refused.
    const disputed = chance > 0.7 && chance < 0.85 && this.nth === 1;
    const status = chance < 0.78 === disputed ? 'FAILED' : 'SUCCEEDED';
    const path = `/payment-requests/${id}/${status === 'SUCCEEDED' ? 'succeed' : 'fail'}`;
    const answer = await this.ask(
      'payments',
      this.post(path, status === 'FAILED' ? { reason: 'declined' } : undefined),
    );
    if (answer?.status === 200) this.context.decisions.push({ paymentRequestId: id, status });
  }

  private async finishAll(): Promise<void> {
    const page = await this.page('orders', '/orders?status=COMPLETED&limit=100');
    const done = page?.items.filter(({ id }) => otherShareOf(id) < FINISHED_SHARE) ?? [];
    await Promise.all(
      done.map(async ({ id: orderId }) => {
        const answers = [await this.ask('orders', this.post(`/orders/${orderId}/finish`))];
        this.context.commands.push({ kind: 'finish', orderId, ...resultOf(answers) });
      }),
    );
  }

  /** Adds or removes stock of a random product, and sometimes changes its price. */
  private async changeProduct(): Promise<void> {
    const { id, price } = this.random.oneOf(PRODUCTS);
    const path = `/products/${id}`;
    const seen = [await this.ask('orders', { method: 'GET', path, headers: this.headers })];
    const [product] = acceptedOf<Product>(seen);
    if (!product) return;
    const { name, currency, version, stock } = product;
    const pieces = Math.max(0, stock + this.random.between(-5, 20));
    const newPrice = this.random.next() < 0.3 ? price + this.random.between(-100, 100) : price;
    const put = [
      await this.ask('orders', {
        method: 'PUT',
        path,
        headers: { ...this.headers, 'if-match': `"${version}"` },
        body: { name, currency, price: newPrice, stock: pieces },
      }),
    ];
    for (const { version, available } of acceptedOf<Product>(put))
      this.context.puts.push({ productId: id, version, available });
  }

  private async page(service: 'orders' | 'payments', path: string): Promise<Page | undefined> {
    const [page] = acceptedOf<Page>([await this.ask(service, { method: 'GET', path, headers: this.headers })]);
    return page;
  }

  /** Adds an idempotency key. A request repeated in the next round is the same request, with the same key. */
  private post(path: string, body?: object): Request {
    const headers = { ...this.headers, 'idempotency-key': `operator-${this.nth}` };
    return { method: 'POST', path, headers, ...(body && { body }) };
  }

  private ask(service: 'orders' | 'payments', request: Request) {
    const { calls, urls } = this.context;
    return calls.ask(urls[service][this.nth % urls[service].length] ?? '', request);
  }

  private async repeatedly(minMs: number, maxMs: number, work: () => Promise<void>): Promise<void> {
    const { closing } = this.context;
    while (!closing.aborted) {
      await work();
      await delay(this.random.between(minMs, maxMs), undefined, { signal: closing }).catch(() => undefined);
    }
  }
}
