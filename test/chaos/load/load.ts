import { Calls } from './calls.js';
import { type Command, Customer, type Edit, type OrderAttempt } from './customers.js';
import { Operator, type PaymentDecision, type ProductPut } from './operators.js';
import { Provider, type Webhook } from './provider.js';
import { type Gateway } from '../faults/schedule.js';

export interface LoadOptions {
  readonly urls: { readonly orders: readonly string[]; readonly payments: readonly string[] };
  readonly seed: number;
  readonly ordersPerSecond: number;
  readonly gateway: Gateway;
  readonly webhookSecret: string;
  readonly paymentTtlMs: number;
}

/** All users of the services, and the answers they received. */
export class Load {
  readonly calls = new Calls();
  readonly orderAttempts: OrderAttempt[] = [];
  readonly edits: Edit[] = [];
  readonly commands: Command[] = [];
  readonly decisions: PaymentDecision[] = [];
  readonly webhooks: Webhook[] = [];
  readonly puts: ProductPut[] = [];
  private readonly closing = new AbortController();
  private readonly visits: Promise<void>[] = [];
  private readonly staff: Promise<unknown>;
  private readonly timer: NodeJS.Timeout;

  constructor({ urls, seed, ordersPerSecond, gateway, webhookSecret, paymentTtlMs }: LoadOptions) {
    const { calls, orderAttempts, edits, commands, decisions, webhooks, puts } = this;
    const closing = this.closing.signal;
    const customerContext = { calls, urls: urls.orders, seed, closing, orderAttempts, edits, commands };
    this.timer = setInterval(
      () => this.visits.push(new Customer(customerContext, this.visits.length).visit()),
      1000 / ordersPerSecond,
    );
    // The simulated gateway settles most payments, so operators decide fewer.
    const decidedShare = gateway === 'simulated' ? 0.2 : 1;
    const operatorContext = { calls, urls, seed, decidedShare, closing, decisions, commands, puts };
    const providerContext = {
      calls,
      urls: urls.payments,
      seed,
      secret: webhookSecret,
      paymentTtlMs,
      closing,
      webhooks,
    };
    this.staff = Promise.all([
      ...urls.payments.map((_, nth) => new Operator(operatorContext, nth).work()),
      new Provider(providerContext).work(),
    ]);
  }

  /** Stops new requests, and returns when the last one is answered or given up. Undecided payments expire. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.closing.abort();
    await Promise.all(this.visits);
    await this.staff;
  }
}
