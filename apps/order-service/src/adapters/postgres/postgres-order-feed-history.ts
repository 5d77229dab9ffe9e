import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type FeedSnapshot } from '../../application/order-feed-snapshot.js';
import {
  type FeedPart,
  type FeedReading,
  type FeedStep,
  OrderFeedHistory,
} from '../../application/order-feed-store.js';
import { type Query, readSince, STEP, stepsIn, type StepRow } from './order-feed-sql.js';

/** Steps that are looked at in one statement: milliseconds. Those of one customer are picked out of many. */
const MOST_OF_ALL = 1000;
const MOST_OF_OTHERS = 10_000;
const MOST_OF_ORDER = 1000;
const MOST_ORDERS = 300;

@Injectable()
export class PostgresOrderFeedHistory extends OrderFeedHistory {
  private readonly query: Query = (text, values) => this.dataSource.query(text, [...values]);

  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async since(seen: FeedSnapshot, customerId: string | undefined): Promise<FeedReading> {
    return readSince(this.query, seen, customerId === undefined ? MOST_OF_ALL : MOST_OF_OTHERS, customerId);
  }

  /** Served by orders_customer (customer_id, id), and for each order by the primary key of its steps. */
  override async ofCustomer(
    customerId: string,
    seen: FeedSnapshot,
    after: string | undefined,
  ): Promise<FeedPart<string>> {
    const rows = await this.query<StepRow & { lastOrder: string; orders: number }>(
      `with own as materialized (
         select id from orders.orders where customer_id = $1 and ($2::uuid is null or id > $2) order by id limit $3)
       select (select count(*) from own)::int as orders, (select id from own order by id desc limit 1) as "lastOrder", ${STEP}
         from (values (1)) as one
              left join (own join orders.order_timeline t on t.order_id = own.id)
                on (t.xid >= $4::xid8 or t.xid = any ($5::xid8[]))
        order by t.order_id, t.position`,
      [customerId, after ?? null, MOST_ORDERS, seen.end, seen.open],
    );
    const [first] = rows;
    const steps = stepsIn(rows);
    return { steps, next: first?.orders === MOST_ORDERS ? first.lastOrder : undefined };
  }

  /** Served by the primary key. */
  override async ofOrder(orderId: string, seen: FeedSnapshot, after: number | undefined): Promise<FeedPart<number>> {
    const rows = await this.query<StepRow>(
      `select ${STEP} from orders.order_timeline t
        where order_id = $1 and position > $2 and (xid >= $3::xid8 or xid = any ($4::xid8[]))
        order by position limit $5`,
      [orderId, after ?? 0, seen.end, seen.open, MOST_OF_ORDER],
    );
    const steps = stepsIn(rows);
    return { steps, next: steps.length === MOST_OF_ORDER ? steps.at(-1)?.position : undefined };
  }

  /** Served by the primary key, read backwards. */
  override async newestOf(orderId: string): Promise<FeedStep | undefined> {
    const rows = await this.query<StepRow>(
      `select ${STEP} from orders.order_timeline t where order_id = $1 order by position desc limit 1`,
      [orderId],
    );
    return stepsIn(rows)[0];
  }
}
