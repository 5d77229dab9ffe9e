import { Calls } from './calls.js';
import { type Command, Customer, type Edit, type Placing } from './customers.js';
import { Operator, type PaymentDecision, type ProductPut } from './operators.js';
import { Provider, type Webhook } from './provider.js';
import { type Gateway } from './schedule.js';

export interface LoadOptions {
  readonly urls: { readonly orders: readonly string[]; readonly payments: readonly string[] };
  readonly seed: number;
  readonly ordersPerSecond: number;
  readonly gateway: Gateway;
  readonly webhookSecret: string;
  readonly paymentTtlMs: number;
}

/** Everybody who uses the services, and what they were answered. */
export class Load {
  readonly calls = new Calls();
  readonly placings: Placing[] = [];
  readonly edits: Edit[] = [];
  readonly commands: Command[] = [];
  readonly decisions: PaymentDecision[] = [];
  readonly webhooks: Webhook[] = [];
  readonly puts: ProductPut[] = [];
  private readonly closing = new AbortController();
  private readonly tales: Promise<void>[] = [];
  private readonly staff: Promise<unknown>;
  private readonly timer: NodeJS.Timeout;

  constructor({ urls, seed, ordersPerSecond, gateway, webhookSecret, paymentTtlMs }: LoadOptions) {
    const { calls, placings, edits, commands, decisions, webhooks, puts } = this;
    const closing = this.closing.signal;
    const front = { calls, urls: urls.orders, seed, closing, placings, edits, commands };
    this.timer = setInterval(
      () => this.tales.push(new Customer(front, this.tales.length).visit()),
      1000 / ordersPerSecond,
    );
    // A gateway that settles by itself leaves them little to decide.
    const decidedShare = gateway === 'simulated' ? 0.2 : 1;
    const office = { calls, urls, seed, decidedShare, closing, decisions, commands, puts };
    const terms = { calls, urls: urls.payments, seed, secret: webhookSecret, paymentTtlMs, closing, webhooks };
    this.staff = Promise.all([
      ...urls.payments.map((_, nth) => new Operator(office, nth).work()),
      new Provider(terms).work(),
    ]);
  }

  /** No new wishes of anybody; returns when the last call was answered or given up. What was not decided expires. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.closing.abort();
    await Promise.all(this.tales);
    await this.staff;
  }
}
