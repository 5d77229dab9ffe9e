import { type Pool } from 'pg';
import {
  type MarkFact,
  type OrderFact,
  type OutboxFact,
  type ParkedFact,
  type PaymentRequestFact,
  type RelayFact,
} from './facts.js';
import { type ServiceName } from './schedule.js';

const SCHEMAS: readonly { schema: string; service: ServiceName; topic: string }[] = [
  { schema: 'orders', service: 'order-service', topic: 'order.events' },
  { schema: 'payments', service: 'payment-service', topic: 'payment.events' },
];

export async function ordersOf(database: Pool): Promise<OrderFact[]> {
  const { rows } = await database.query<OrderFact>(
    `select id, customer_id as "customerId", status, total::float8, version, payment from orders.orders`,
  );
  return rows;
}

export async function paymentRequestsOf(database: Pool): Promise<PaymentRequestFact[]> {
  const { rows } = await database.query<PaymentRequestFact>(
    `select id, order_id as "orderId", customer_id as "customerId", status, amount::float8, version
       from payments.payment_requests`,
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

/** What waits for another attempt or for a person: messages of either box, and jobs that are due. */
export async function parkedIn(database: Pool): Promise<ParkedFact[]> {
  const found: ParkedFact[] = [];
  const read = async (service: ServiceName, box: ParkedFact['box'], from: string) => {
    const { rows } = await database.query<Omit<ParkedFact, 'service' | 'box'>>(
      `select id, key, error, (extract(epoch from written_at) * 1000)::float8 as "writtenAt",
              (extract(epoch from dead_at) * 1000)::float8 as "deadAt"
         from (${from}) parked (id, key, error, written_at, dead_at)`,
    );
    found.push(...rows.map((row) => ({ ...row, service, box })));
  };
  for (const { schema, service } of SCHEMAS) {
    await read(
      service,
      'outbox',
      `select position::text, aggregateid, coalesce(error, ''), created_at, dead_at from ${schema}.outbox_parked`,
    );
    await read(
      service,
      'inbox',
      // Whoever sent it may have sent any bytes.
      `select id::text, coalesce(encode(key, 'escape'), ''), coalesce(error, ''), recorded_at, dead_at from ${schema}.inbox_parked`,
    );
    await read(
      service,
      'jobs',
      `select id::text, queue, coalesce(error, ''), created_at, dead_at from ${schema}.jobs where dead_at is not null or run_at <= now()`,
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

/** In milliseconds, by the clock of the database's writers. */
export interface Pace {
  /** How long the slowest order took for each part of its way. */
  readonly toPaymentRequest: number;
  readonly toEnd: number;
  /** The longest time in which nothing of the kind happened, between two that did. */
  readonly withoutOrder: number;
  readonly withoutPaymentRequest: number;
  readonly withoutEnd: number;
}

export async function paceOf(database: Pool): Promise<Pace> {
  const longest = (at: string, from: string) =>
    `(select coalesce(extract(epoch from max(gap)) * 1000, 0)::float8
        from (select ${at} - lag(${at}) over (order by ${at}) as gap from ${from}) as gaps)`;
  const ended = `orders.orders where status in ('COMPLETED', 'CANCELLED')`;
  const { rows } = await database.query<Pace>(
    `select coalesce(extract(epoch from max(r.created_at - o.created_at)) * 1000, 0)::float8 as "toPaymentRequest",
            coalesce(extract(epoch from max(o.updated_at - r.updated_at)
                       filter (where o.status in ('COMPLETED', 'CANCELLED'))) * 1000, 0)::float8 as "toEnd",
            ${longest('created_at', 'orders.orders')} as "withoutOrder",
            ${longest('created_at', 'payments.payment_requests')} as "withoutPaymentRequest",
            ${longest('updated_at', ended)} as "withoutEnd"
       from orders.orders o join payments.payment_requests r on r.order_id = o.id`,
  );
  const [pace] = rows;
  if (!pace) throw new Error('PostgreSQL answered an aggregate without a row');
  return pace;
}
