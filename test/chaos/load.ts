import { Random } from './random.js';

/** One attempt to place an order: by a customer of its own, so that what came of it can be found. It is never repeated. */
export interface Placing {
  readonly customerId: string;
  /** Accepted: answered 201. Refused: 4xx. Unavailable: 5xx. Unanswered: a connection lost, or no answer in time. */
  readonly outcome: 'accepted' | 'refused' | 'unavailable' | 'unanswered';
  /** Only of an accepted one. */
  readonly orderId?: string;
  readonly tookMs: number;
}

/** An operator's result of a payment that was answered with 200. */
export interface PaymentDecision {
  readonly paymentRequestId: string;
  readonly status: 'SUCCEEDED' | 'FAILED';
}

const PRODUCTS = ['tea-earl-grey', 'tea-sencha', 'coffee-filter', 'mug-stoneware'] as const;
const ANSWER_MS = 10_000;
const POLL_MS = 400;
/** So many payments nobody ever decides: their orders stay pending, lawfully. */
const MOST_SET_ASIDE = 30;
const HEADERS = { 'content-type': 'application/json' };

/** Customers and operators, who call the replicas in turn and know nothing of each other. */
export class Load {
  readonly placings: Placing[] = [];
  readonly decisions: PaymentDecision[] = [];
  /** Payment requests that no operator decides. */
  readonly setAside = new Set<string>();
  private readonly customers: Promise<void>[] = [];
  private readonly operators: Promise<void>[];
  private readonly timer: NodeJS.Timeout;
  private stopped = false;

  constructor(
    private readonly urls: { readonly orders: readonly string[]; readonly payments: readonly string[] },
    private readonly random: Random,
    ordersPerSecond: number,
  ) {
    this.timer = setInterval(() => this.customers.push(this.place()), 1000 / ordersPerSecond);
    this.operators = urls.payments.map((url, operator) => this.decideAll(url, operator));
  }

  /** No more orders; returns when the last was answered or given up. */
  async stopCustomers(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.customers);
  }

  /** No more calls of anybody. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.stopCustomers();
    await Promise.all(this.operators);
  }

  private async place(): Promise<void> {
    const nth = this.customers.length;
    const customerId = `customer-${nth}`;
    const url = this.urls.orders[nth % this.urls.orders.length];
    const items = [{ productId: this.random.oneOf(PRODUCTS), quantity: this.random.between(1, 3) }];
    const sentAt = performance.now();
    const answer = await ask('POST', `${url}/orders`, { 'x-user-id': customerId }, { items });
    const placing = { customerId, tookMs: performance.now() - sentAt };
    if (answer?.status === 201)
      this.placings.push({ ...placing, outcome: 'accepted', orderId: (answer.body as { id: string }).id });
    else
      this.placings.push({
        ...placing,
        outcome: answer === undefined ? 'unanswered' : answer.status < 500 ? 'refused' : 'unavailable',
      });
  }

  private async decideAll(url: string, operator: number): Promise<void> {
    const headers = { 'x-user-id': `operator-${operator}`, 'x-roles': 'operator' };
    while (!this.stopped) {
      let cursor: string | null = null;
      do {
        const query: string = cursor === null ? '' : `&cursor=${cursor}`;
        const page = await ask('GET', `${url}/payment-requests?status=PENDING&limit=100${query}`, headers);
        if (page?.status !== 200) break;
        const { items, nextCursor } = page.body as { items: { id: string }[]; nextCursor: string | null };
        await Promise.all(items.map(({ id }) => this.decide(url, headers, id, operator)));
        cursor = nextCursor;
      } while (cursor !== null && !this.stopped);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  private async decide(url: string, headers: Record<string, string>, id: string, operator: number): Promise<void> {
    // By its id, so that both operators want the same and another attempt repeats the first.
    const chance = shareOf(id);
    if (this.setAside.has(id)) return;
    if (chance < 0.02 && this.setAside.size < MOST_SET_ASIDE) {
      this.setAside.add(id);
      return;
    }
    const succeeds = chance < 0.82;
    // Of some requests the two operators think differently: one of them is refused.
    const disputed = chance > 0.78 && chance < 0.86 && operator === 1;
    const status = succeeds === disputed ? 'FAILED' : 'SUCCEEDED';
    const answer = await (status === 'SUCCEEDED'
      ? ask('POST', `${url}/payment-requests/${id}/succeed`, headers)
      : ask('POST', `${url}/payment-requests/${id}/fail`, headers, { reason: 'declined' }));
    if (answer?.status === 200) this.decisions.push({ paymentRequestId: id, status });
  }
}

async function ask(
  method: string,
  url: string,
  headers: Record<string, string>,
  body?: object,
): Promise<{ status: number; body: unknown } | undefined> {
  try {
    const response = await fetch(url, {
      method,
      headers: { ...headers, ...(body && HEADERS) },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    return { status: response.status, body: await response.json() };
  } catch {
    return undefined;
  }
}

/** A number from 0 to 1 that is always the same for an id, and evenly spread: the last digits of a UUIDv7 are random. */
const shareOf = (id: string) => Number.parseInt(id.slice(-6), 16) / 0xffffff;
