import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { runAsChild } from '../support/child.js';
import { Customers, someCustomer } from '../saga/customers.js';

export interface SagaLoadOptions {
  readonly orderUrls: readonly string[];
  /** For a superuser. */
  readonly databaseUrl: string;
  /** The number of orders after which it ends; without it, it runs until it is stopped. */
  readonly orders?: number;
  /** The access token of each customer, for services with AUTH_MODE=jwt. */
  readonly tokens?: Readonly<Record<string, string>>;
}

export interface SagaLoadResult {
  /** Orders that were answered with 503 and not retried. */
  readonly rejected: number;
}

/** The maximum of orders in progress: the load is as much as the system can take, without a growing queue. */
const MAX_OPEN = 128;
/** The maximum of orders that wait for the answer to their POST. */
const MAX_POSTS = 24;
/** Cheap compared with an order: the open ones are read by id. */
const POLL_INTERVAL_MS = 100;

runAsChild<SagaLoadOptions, SagaLoadResult>(async ({ orderUrls, databaseUrl, orders, tokens }, finish) => {
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  const trade = new Trade(new Customers(orderUrls, tokens), database, orders ?? Infinity);
  const result = trade.run();
  result.then((value) => orders && finish(value), fail);
  return () => {
    trade.end();
    return result;
  };
});

/** Customers who place an order whenever another is COMPLETED. */
class Trade {
  private readonly open = new Set<string>();
  private posts = 0;
  private accepted = 0;
  private rejected = 0;

  constructor(
    private readonly customers: Customers,
    private readonly database: pg.Client,
    private limit: number,
  ) {}

  /** Returns when all orders are COMPLETED and no more are to be placed. */
  async run(): Promise<SagaLoadResult> {
    do {
      // Also after a rejection: the customer tries again after a while.
      this.placeMore();
      await delay(POLL_INTERVAL_MS);
      await this.removeCompleted();
    } while (this.accepted < this.limit || this.open.size + this.posts > 0);
    return { rejected: this.rejected };
  }

  end(): void {
    this.limit = 0;
  }

  private placeMore(): void {
    while (this.accepted + this.posts < this.limit && this.posts < MAX_POSTS && this.open.size + this.posts < MAX_OPEN)
      void this.place().catch(fail);
  }

  private async place(): Promise<void> {
    this.posts++;
    const id = await this.customers.place(someCustomer());
    this.posts--;
    if (id === undefined) {
      this.rejected++;
      return;
    }
    this.accepted++;
    this.open.add(id);
    this.placeMore();
  }

  private async removeCompleted(): Promise<void> {
    // One by one through the primary key, which the planner would not use while the table has no statistics.
    const { rows } = await this.database.query<{ id: string; status: string }>(
      `select o.id, o.status
         from unnest($1::uuid[]) as open (id)
        cross join lateral (select id, status from orders.orders where id = open.id offset 0) as o
        where o.status not in ('PLACED', 'PAYMENT_PENDING')`,
      [[...this.open]],
    );
    for (const { id, status } of rows) {
      if (status !== 'COMPLETED') throw new Error(`order ${id} is ${status}`);
      this.open.delete(id);
    }
  }
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}
