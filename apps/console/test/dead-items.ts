import { type TestDatabase } from '@twinbox/messaging/testing';
import { type ServiceTopics } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';

interface Letters {
  readonly count?: number;
  readonly error?: string;
  /** Replaces fields of the payload, which the contract accepts otherwise. */
  readonly payload?: Readonly<Record<string, unknown>>;
}

/** Inserts dead letters of payment-service, which is what its handler leaves behind after its last attempt. Returns their ids and orders. */
export async function deadLetters(
  { sql }: Pick<TestDatabase, 'sql'>,
  topics: ServiceTopics,
  { count = 1, error = 'The gateway was away', payload = {} }: Letters = {},
): Promise<readonly { readonly id: string; readonly orderId: string }[]> {
  const orders = Array.from({ length: count }, () => uuidv7());
  const items = [{ productId: 'tea', name: 'Tea', quantity: 2, unitPrice: 450 }];
  const values = orders.map((orderId) =>
    JSON.stringify({ orderId, customerId: 'ada', total: 900, currency: 'EUR', items, ...payload }),
  );
  const rows = await sql<{ id: string; key: string }>(
    `insert into payments.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key, headers, value,
       holds_key, attempts, error, dead_at)
     select $1, $2, 0, 1000000 + (select count(*) from payments.inbox_parked) + n, now(), '/orders', order_id, 'OrderPlaced',
            convert_to(order_id, 'UTF8'),
            jsonb_build_object('ce_specversion', '1.0', 'ce_id', order_id, 'ce_type', 'OrderPlaced', 'ce_source', '/orders'),
            convert_to(value, 'UTF8'), true, 5, $3, now() - n * interval '1 millisecond'
       from unnest($4::text[], $5::text[]) with ordinality as letter (order_id, value, n)
     returning id::text, convert_from(key, 'UTF8') as key`,
    [topics.env('payment-service')['CONSUMER_GROUP'], topics.orderEvents, error, orders, values],
  );
  return rows.map(({ id, key }) => ({ id, orderId: key }));
}

/** Inserts a dead job of payment-service. */
export async function aDeadJob({ sql }: Pick<TestDatabase, 'sql'>, error: string): Promise<string> {
  const id = uuidv7();
  await sql(
    `insert into payments.jobs (id, queue, data, run_at, attempts, error, dead_at) values ($1, 'charge', '{"n":1}', now(), 8, $2, now())`,
    [id, error],
  );
  return id;
}
