import { type Pool } from 'pg';
import { type DeadLetter, type OrderFact, type PaymentRequestFact } from './judge.js';

const SCHEMAS = ['orders', 'payments'] as const;

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

/** Ids of the messages that either outbox holds. */
export async function outboxOf(database: Pool): Promise<string[]> {
  const { rows } = await database.query<{ id: string }>(
    'select id from orders.outbox union all select id from payments.outbox',
  );
  return rows.map(({ id }) => id);
}

interface ParkedRow {
  readonly key: string | null;
  readonly error: string | null;
  readonly dead: boolean;
}

/** What waits for another attempt, and what waits for a person, in the outbox or the inbox of either service. */
export async function parkedIn(database: Pool): Promise<{ waiting: number; deadLetters: DeadLetter[] }> {
  const found: (ParkedRow & { readonly table: string })[] = [];
  for (const schema of SCHEMAS)
    for (const [table, key] of [
      [`${schema}.outbox_parked`, 'aggregateid'],
      // Whoever sent it may have sent any bytes.
      [`${schema}.inbox_parked`, `encode(key, 'escape')`],
    ] as const) {
      const { rows } = await database.query<ParkedRow>(
        `select ${key} as key, error, dead_at is not null as dead from ${table}`,
      );
      found.push(...rows.map((row) => ({ ...row, table })));
    }
  return {
    waiting: found.filter(({ dead }) => !dead).length,
    deadLetters: found
      .filter(({ dead }) => dead)
      .map(({ table, key, error }) => ({ table, key: key ?? '', error: error ?? '' })),
  };
}

/** How long the slowest order took for each part of its way, in milliseconds, by the clock of the database's writers. */
export async function worstWaysOf(database: Pool): Promise<{ toPaymentRequest: number; toEnd: number }> {
  const { rows } = await database.query<{ to_request: number | null; to_end: number | null }>(
    `select extract(epoch from max(r.created_at - o.created_at))::float8 * 1000 as to_request,
            extract(epoch from max(o.updated_at - r.updated_at) filter (where o.status in ('COMPLETED', 'CANCELLED')))::float8 * 1000
              as to_end
       from orders.orders o join payments.payment_requests r on r.order_id = o.id`,
  );
  return { toPaymentRequest: rows[0]?.to_request ?? 0, toEnd: rows[0]?.to_end ?? 0 };
}
