import { Injectable } from '@nestjs/common';
import { Slots } from '@twinbox/api-kit';
import { DataSource } from 'typeorm';
import { type FeedBatch, FeedHistory, type FeedStep, type HistoryPage } from '../../../application/live/ports.js';
import { type ScanPosition, type Snapshot } from '../../../application/live/resume-point.js';
import { countSince, MAX_STEPS, readSince, STEP, stepsIn, type StepRow } from './feed-sql.js';
import { type Query } from './landmarks.js';

/** Steps that a statement scans for those of a customer, which takes milliseconds. */
const MAX_SCANNED = 2000;
const MAX_ORDERS = 300;
/** Connections of the pool that catching up may use, with its counts, so that the others are free for requests. */
const MAX_CONNECTIONS = 3;
const AFTER_ALL_STEPS = Number.MAX_SAFE_INTEGER;

@Injectable()
export class PostgresFeedHistory extends FeedHistory {
  private readonly slots = new Slots(MAX_CONNECTIONS, 'streams that catch up');
  private readonly query: Query = (text, values) => this.slots.use(() => this.dataSource.query(text, [...values]));

  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async since(seen: Snapshot, customerId: string | undefined): Promise<FeedBatch> {
    return readSince(this.query, seen, customerId === undefined ? MAX_STEPS : MAX_SCANNED, customerId);
  }

  /** Served by orders_customer (customer_id, id), and for each order by the primary key of its steps. */
  override async ofCustomer(customerId: string, seen: Snapshot, after: ScanPosition): Promise<HistoryPage> {
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
  override async ofOrder(orderId: string, seen: Snapshot, after: ScanPosition): Promise<HistoryPage> {
    const rows = await this.query<StepRow>(
      `select ${STEP} from orders.order_timeline t
        where t.order_id = $1 and t.position > $2 and (t.xid >= $3::xid8 or t.xid = any ($4::xid8[]))
        order by t.position limit $5`,
      [orderId, after.position, seen.end, seen.open, MAX_STEPS],
    );
    const steps = stepsIn(rows);
    return { steps, next: steps.length === MAX_STEPS ? pointOf(steps) : undefined };
  }

  override countSince(seen: Snapshot, customerId: string | undefined, limit: number): Promise<number> {
    return countSince(this.query, seen, limit, customerId);
  }

  override async countOfCustomer(id: string, seen: Snapshot, after: ScanPosition, limit: number): Promise<number> {
    const [row] = await this.query<{ orders: number; steps: number }>(
      `with own as materialized (
         select id from orders.orders where customer_id = $1 and id >= $2 order by id limit $6)
       select (select count(*) from own)::int as orders,
              (select count(*) from (
                select from own join orders.order_timeline t on t.order_id = own.id
                 where (t.order_id, t.position) > ($2, $3) and (t.xid >= $4::xid8 or t.xid = any ($5::xid8[]))
                 limit $6) as missed)::int as steps`,
      [id, after.orderId, after.position, seen.end, seen.open, limit],
    );
    if (!row) throw new Error('PostgreSQL counted no steps');
    return row.orders === limit ? limit : row.steps;
  }

  override async countOfOrder(orderId: string, seen: Snapshot, after: ScanPosition, limit: number): Promise<number> {
    const [row] = await this.query<{ steps: number }>(
      `select count(*)::int as steps from (
         select from orders.order_timeline t
          where t.order_id = $1 and t.position > $2 and (t.xid >= $3::xid8 or t.xid = any ($4::xid8[]))
          limit $5) as missed`,
      [orderId, after.position, seen.end, seen.open, limit],
    );
    return row?.steps ?? 0;
  }

  /** Served by the primary key, read backwards. */
  override async newestOf(orderId: string): Promise<FeedStep | undefined> {
    const rows = await this.query<StepRow>(
      `select ${STEP} from orders.order_timeline t where t.order_id = $1 order by t.position desc limit 1`,
      [orderId],
    );
    return stepsIn(rows)[0];
  }
}

function pointOf(steps: readonly FeedStep[]): ScanPosition | undefined {
  const last = steps.at(-1);
  return last && { orderId: last.orderId, position: last.position };
}
