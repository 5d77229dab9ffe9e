import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { runAsChild } from '../child.js';
import { Customers, someCustomer } from '../saga/customers.js';

export interface SagaLoadOptions {
  readonly orderUrls: readonly string[];
  /** As a superuser. */
  readonly databaseUrl: string;
  /** Ends by itself after so many orders; else when it is stopped. */
  readonly orders?: number;
}

export interface SagaLoadResult {
  /** Orders that were answered with 503; nobody tried them again. */
  readonly refused: number;
}

/** So many orders are under way at a time, no more: the load is as much as the system takes, and no queue of it grows. */
const MOST_OPEN = 128;
/** So many of them wait for the answer to their POST. */
const MOST_POSTS = 24;
/** Cheap against what an order costs: a look at the rows of the open ones by their ids. */
const LOOK_EVERY_MS = 100;

runAsChild<SagaLoadOptions, SagaLoadResult>(async ({ orderUrls, databaseUrl, orders }, finish) => {
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  const trade = new Trade(new Customers(orderUrls), database, orders ?? Infinity);
  const result = trade.run();
  result.then((said) => orders && finish(said), fail);
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
  private refused = 0;

  constructor(
    private readonly customers: Customers,
    private readonly database: pg.Client,
    private most: number,
  ) {}

  /** Returns when all orders are COMPLETED and there are to be no more. */
  async run(): Promise<SagaLoadResult> {
    do {
      // After a refusal too: who was refused comes again after a while.
      this.placeMore();
      await delay(LOOK_EVERY_MS);
      await this.look();
    } while (this.accepted < this.most || this.open.size + this.posts > 0);
    return { refused: this.refused };
  }

  end(): void {
    this.most = 0;
  }

  private placeMore(): void {
    while (this.accepted + this.posts < this.most && this.posts < MOST_POSTS && this.open.size + this.posts < MOST_OPEN)
      void this.place().catch(fail);
  }

  private async place(): Promise<void> {
    this.posts++;
    const id = await this.customers.place(someCustomer());
    this.posts--;
    if (id === undefined) {
      this.refused++;
      return;
    }
    this.accepted++;
    this.open.add(id);
    this.placeMore();
  }

  private async look(): Promise<void> {
    // One by one through the primary key, which the planner would not do by itself while the table has no statistics.
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
