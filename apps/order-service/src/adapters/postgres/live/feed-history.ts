import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type WalkPoint } from '../../../application/live/place.js';
import { type FeedSnapshot } from '../../../application/live/resume-point.js';
import {
  type FeedPart,
  type FeedReading,
  type FeedStep,
  OrderFeedHistory,
} from '../../../application/live/ports.js';
import { type Query, readSince, STEP, stepsIn, type StepRow } from './feed-sql.js';

/** Steps per statement, at most half a megabyte. */
const MAX_STEPS = 200;
/** Steps that a statement scans for those of a customer, which takes milliseconds. */
const MAX_SCANNED = 2000;
const MAX_ORDERS = 300;
const AFTER_ALL_STEPS = Number.MAX_SAFE_INTEGER;

@Injectable()
export class PostgresOrderFeedHistory extends OrderFeedHistory {
  private readonly query: Query = (text, values) => this.dataSource.query(text, [...values]);

  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async since(seen: FeedSnapshot, customerId: string | undefined): Promise<FeedReading> {
    return readSince(this.query, seen, customerId === undefined ? MAX_STEPS : MAX_SCANNED, customerId);
  }

  /** Served by orders_customer (customer_id, id), and for each order by the primary key of its steps. */
  override async ofCustomer(customerId: string, seen: FeedSnapshot, after: WalkPoint): Promise<FeedPart> {
    const rows = await this.query<StepRow & { lastOrder: string; orders: number }>(
      `with own as materialized (
         select id from orders.orders where customer_id = $1 and id >= $2 order by id limit $3)
       select (select count(*) from own)::int as orders, (select id from own order by id desc limit 1) as "lastOrder", ${STEP}
         from (values (1)) as one
              left join (own join orders.order_timeline t on t.order_id = own.id)
                on (t.order_id, t.position) > ($2, $4) and (t.xid >= $5::xid8 or t.xid = any ($6::xid8[]))
        order by t.order_id, t.position limit $7`,
      [customerId, after.orderId, MAX_ORDERS, after.position, seen.end, seen.open, MAX_STEPS],
    );
    const steps = stepsIn(rows);
    if (steps.length === MAX_STEPS) return { steps, next: pointOf(steps) };
    const [first] = rows;
    const next = first?.orders === MAX_ORDERS ? { orderId: first.lastOrder, position: AFTER_ALL_STEPS } : undefined;
    return { steps, next };
  }

  /** Served by the primary key. */
  override async ofOrder(orderId: string, seen: FeedSnapshot, after: WalkPoint): Promise<FeedPart> {
    const rows = await this.query<StepRow>(
      `select ${STEP} from orders.order_timeline t
        where order_id = $1 and position > $2 and (xid >= $3::xid8 or xid = any ($4::xid8[]))
        order by position limit $5`,
      [orderId, after.position, seen.end, seen.open, MAX_STEPS],
    );
    const steps = stepsIn(rows);
    return { steps, next: steps.length === MAX_STEPS ? pointOf(steps) : undefined };
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

function pointOf(steps: readonly FeedStep[]): WalkPoint | undefined {
  const last = steps.at(-1);
  return last && { orderId: last.orderId, position: last.position };
}
