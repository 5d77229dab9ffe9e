import { type Pool } from 'pg';
import {
  type MarkFact,
  type OrderFact,
  type OutboxFact,
  type ParkedFact,
  type PaymentRequestFact,
  type RelayFact,
  type StepFact,
  type StockChangeFact,
  type StockFact,
} from '../judge/facts.js';
import { type ServiceName } from '../faults/schedule.js';
import { PRODUCTS } from './shop.js';

const SCHEMAS: readonly { schema: string; service: ServiceName; topic: string }[] = [
  { schema: 'orders', service: 'order-service', topic: 'order.events' },
  { schema: 'payments', service: 'payment-service', topic: 'payment.events' },
];

export async function ordersOf(database: Pool): Promise<OrderFact[]> {
  const { rows } = await database.query<OrderFact>(
    `select id, customer_id as "customerId", status, total::float8, version::float8, payment,
            (select coalesce(json_agg(json_build_object('productId', product_id, 'quantity', quantity,
                                                        'unitPrice', unit_price)), '[]')
               from orders.order_items where order_id = o.id) as items
       from orders.orders o`,
  );
  return rows;
}

/** @param taken whether the simulated gateway takes the money of a charge; without it, no charge counts as taken */
export async function paymentRequestsOf(
  database: Pool,
  taken: (id: string) => boolean = () => false,
): Promise<PaymentRequestFact[]> {
  const { rows } = await database.query<Omit<PaymentRequestFact, 'taken'> & { charged: boolean }>(
    `select id, order_id as "orderId", customer_id as "customerId", status, amount::float8, version::float8,
            (extract(epoch from expires_at) * 1000)::float8 as "expiresAt", charge_sent_at is not null as charged
       from payments.payment_requests`,
  );
  return rows.map(({ charged, ...row }) => ({ ...row, taken: charged && taken(row.id) }));
}

export async function stepsOf(database: Pool, timeline: 'orders.order_timeline' | 'payments.payment_timeline') {
  const { rows } = await database.query<StepFact>(
    `select order_id as "orderId", type, status, version, (extract(epoch from at) * 1000)::float8 as at, cause,
            message_id as "messageId", detail->>'reason' as reason
       from ${timeline} order by order_id, position`,
  );
  return rows;
}

export async function stockOf(database: Pool): Promise<StockFact[]> {
  const { rows } = await database.query<Omit<StockFact, 'initial' | 'put'>>(
    `select p.id as "productId", p.available::float8 as available,
            coalesce((select sum(r.quantity) from orders.stock_releases r where r.product_id = p.id), 0)::float8 as released
       from orders.products p`,
  );
  const changes = await stockChangesOf(database);
  return rows.map((row) => ({
    ...row,
    initial: PRODUCTS.find(({ id }) => id === row.productId)?.stock ?? 0,
    put: changes
      .filter(({ productId }) => productId === row.productId)
      .reduce((sum, { grew, folded }) => sum + grew - folded, 0),
  }));
}

/** Reads the product changes of operators from the ledger that `openShop` has created. */
export async function stockChangesOf(database: Pool): Promise<StockChangeFact[]> {
  const { rows } = await database.query<StockChangeFact>(
    `select c.product_id as "productId", c.version, c.available::float8 as available, c.quantity::float8 as grew,
            coalesce((select sum(f.quantity) from chaos.folds f where f.xid = c.xid and f.product_id = c.product_id),
                     0)::float8 as folded
       from chaos.changes c`,
  );
  return rows;
}

export async function outboxOf(database: Pool): Promise<OutboxFact[]> {
  const found: OutboxFact[] = [];
  for (const { schema, topic } of SCHEMAS) {
    const { rows } = await database.query<Omit<OutboxFact, 'topic'>>(
      `select o.id, o.aggregateid as key, o.type, o.sequence::float8, o.position::float8,
              parked.id is null and (o.position > lease.position or o.position <@ lease.gaps) as pending
         from ${schema}.outbox o cross join ${schema}.relay_lease lease
         left join ${schema}.outbox_parked parked on parked.position = o.position`,
    );
    found.push(...rows.map((row) => ({ ...row, topic })));
  }
  return found;
}

/** Reads the parked messages of both outboxes and inboxes and all jobs, including jobs that are currently being processed. */
export async function parkedIn(database: Pool): Promise<ParkedFact[]> {
  const found: ParkedFact[] = [];
  const read = async (service: ServiceName, box: ParkedFact['box'], from: string) => {
    const { rows } = await database.query<Omit<ParkedFact, 'service' | 'box'>>(
      `select id, consumer, key, error, (extract(epoch from written_at) * 1000)::float8 as "writtenAt",
              (extract(epoch from dead_at) * 1000)::float8 as "deadAt"
         from (${from}) parked (id, consumer, key, error, written_at, dead_at)`,
    );
    found.push(...rows.map((row) => ({ ...row, service, box })));
  };
  for (const { schema, service } of SCHEMAS) {
    await read(
      service,
      'outbox',
      `select position::text, '', aggregateid, coalesce(error, ''), created_at, dead_at from ${schema}.outbox_parked`,
    );
    await read(
      service,
      'inbox',
      // A sender may have sent arbitrary bytes as the key.
      `select id::text, consumer, coalesce(encode(key, 'escape'), ''), coalesce(error, ''), recorded_at, dead_at from ${schema}.inbox_parked`,
    );
    await read(
      service,
      'jobs',
      `select id::text, '', queue, coalesce(error, ''), created_at, dead_at from ${schema}.jobs`,
    );
  }
  return found;
}

export async function relaysOf(database: Pool): Promise<RelayFact[]> {
  const found: RelayFact[] = [];
  for (const { schema, service } of SCHEMAS) {
    const { rows } = await database.query<Omit<RelayFact, 'service'>>(
      `select token::float8 as terms,
              (select coalesce(sum(upper(gap) - lower(gap)), 0)::float8 from unnest(gaps) as gap) as gaps
         from ${schema}.relay_lease`,
    );
    found.push(...rows.map((row) => ({ ...row, service })));
  }
  return found;
}

/** Counts the promotions that the database has been through: each starts a new timeline of the WAL. */
export async function promotionsOf(database: Pool): Promise<number> {
  const { rows } = await database.query<{ timeline: string }>(
    'select left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline',
  );
  return Number.parseInt(rows[0]?.timeline ?? '', 16) - 1;
}

export async function marksOf(database: Pool, when: MarkFact['when']): Promise<MarkFact[]> {
  const found: MarkFact[] = [];
  for (const { schema } of SCHEMAS) {
    const { rows } = await database.query<Omit<MarkFact, 'when'>>(
      `select consumer, topic || '/' || partition as place, count(*)::int as marks
         from ${schema}.inbox_in_flight group by consumer, topic, partition`,
    );
    found.push(...rows.map((row) => ({ ...row, when })));
  }
  return found;
}

/** In milliseconds, by the clocks of the processes that wrote to the database. */
export interface Timings {
  /** Maxima: from an order to its payment request, from a payment's result to the end of its order, from the due time to an expiry. */
  readonly toPaymentRequest: number;
  readonly toEnd: number;
  readonly toExpiry: number;
  /** The longest times between two consecutive orders, payment requests and ends of orders. */
  readonly withoutOrder: number;
  readonly withoutPaymentRequest: number;
  readonly withoutEnd: number;
}

export async function timingsOf(database: Pool): Promise<Timings> {
  const longest = (from: string) =>
    `(select coalesce(extract(epoch from max(gap)) * 1000, 0)::float8
        from (select at - lag(at) over (order by at) as gap from ${from}) as gaps)`;
  const step = (type: string) => `orders.order_timeline where type = '${type}'`;
  const slowest = (from: string) =>
    `(select coalesce(extract(epoch from max(took)) * 1000, 0)::float8 from (${from}) as t)`;
  const { rows } = await database.query<Timings>(
    `select ${slowest(`select r.created_at - p.at as took from payments.payment_requests r
                         join orders.order_timeline p on p.order_id = r.order_id and p.type = 'OrderPlaced'`)} as "toPaymentRequest",
            ${slowest(`select received.at - published.at as took from payments.payment_timeline published
                         join orders.order_timeline received on received.order_id = published.order_id and received.type = published.type
                        where published.type in ('PaymentSucceeded', 'PaymentFailed')`)} as "toEnd",
            ${slowest(`select s.at - r.expires_at as took from payments.payment_timeline s
                         join payments.payment_requests r using (order_id) where s.cause = 'expiry'`)} as "toExpiry",
            ${longest(step('OrderPlaced'))} as "withoutOrder",
            ${longest(`(select created_at as at from payments.payment_requests) as r`)} as "withoutPaymentRequest",
            ${longest(`orders.order_timeline where type in ('OrderCompleted', 'OrderCancelled')`)} as "withoutEnd"`,
  );
  const [timings] = rows;
  if (!timings) throw new Error('A select of aggregates returned no row');
  return timings;
}
