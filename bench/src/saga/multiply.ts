import { type TestDatabase } from '@twinbox/messaging/testing';

/** The tables with the data of a COMPLETED order, parents first. */
const TABLES = [
  'orders.orders',
  'orders.order_items',
  'orders.order_timeline',
  'orders.outbox',
  'orders.inbox',
  'payments.payment_requests',
  'payments.payment_timeline',
  'payments.outbox',
  'payments.inbox',
] as const;

/**
 * A UUIDv7 begins with its time in ms, of which the first eight hex digits count steps of this length. A copy moves all ids back by a whole
 * number of steps, so their other digits stay the same wherever an id occurs: in a column, a payload or a timeline.
 */
const ID_STEP_MS = 2 ** 16;
const ID_STEPS_PER_COPY = 16;
const COPIES_PER_TRANSACTION = 10;

/**
 * Replaces the orders in a shop, all COMPLETED, with copies that look as if they had been placed before, to the nearest multiple of
 * `orders`: one copy of all every 17.5 minutes, 500 in six days, which is within the retention of messages. Their related rows are copied
 * too, with messages as published and processed. The services must not be running.
 */
export async function multiply(database: TestDatabase, orders: number): Promise<number> {
  const [ids] = await database.sql<{ first: string; last: string; orders: number }>(
    `select min(left(id::text, 8)) as first, to_hex(floor(extract(epoch from clock_timestamp()) * 1000 / ${ID_STEP_MS})::bigint) as last,
            count(*)::int as orders
       from orders.orders`,
  );
  if (!ids?.orders) throw new Error('there are no orders to copy');
  const steps = { first: Number.parseInt(ids.first, 16), last: Number.parseInt(ids.last, 16) };
  if (steps.last - steps.first >= ID_STEPS_PER_COPY) throw new Error('the orders to copy are too far apart');

  await database.sql('create schema original');
  const inserts: string[] = [];
  for (const table of TABLES) {
    await database.sql(`create table ${originalOf(table)} as select * from ${table} order by ctid`);
    inserts.push(await insertOf(database, table, steps));
  }
  await database.sql(`truncate ${TABLES.join(', ')} restart identity`);
  const copies = Math.round(orders / ids.orders);
  for (let oldest = copies; oldest > 0; oldest -= COPIES_PER_TRANSACTION) {
    const newest = Math.max(1, oldest - COPIES_PER_TRANSACTION + 1);
    // Skips the foreign key checks, because the originals were consistent.
    const statements = inserts.map((insert) =>
      insert.replaceAll('$newest', `${newest}`).replaceAll('$oldest', `${oldest}`),
    );
    await database.sql(`begin; set local session_replication_role = replica; ${statements.join('; ')}; commit`);
  }
  await database.sql('drop schema original cascade');
  for (const schema of ['orders', 'payments'])
    await database.sql(
      `update ${schema}.relay_lease set position = (select max(position) from ${schema}.outbox), gaps = '{}', origin = null`,
    );
  // Autovacuum would do this soon. Done here, it does not run during the measurement.
  await database.sql('vacuum analyze');
  await database.sql('checkpoint');
  return copies * ids.orders;
}

const originalOf = (table: string) => `original.${table.replace('.', '_')}`;

/** Returns the insert of copies `$newest` to `$oldest` of a table. */
async function insertOf(
  database: TestDatabase,
  table: string,
  { first, last }: { first: number; last: number },
): Promise<string> {
  const steps = Array.from({ length: last - first + 1 }, (_, n) => first + n);
  const hex = (step: string) => `lpad(to_hex(${step}), 8, '0') || '-'`;
  const columns = await columnsOf(
    database,
    table,
    steps.map((step) => `%${step.toString(16).padStart(8, '0')}-%`),
  );
  const copied = ({ name, type, hasIds }: Column): string => {
    if (type.startsWith('timestamp')) return `${name} - back`;
    if (!hasIds) return name;
    const text = steps.reduce((value, step) => `replace(${value}, from_${step}, to_${step})`, `${name}::text`);
    return `(${text})::${type}`;
  };
  const digits = steps.map(
    (step) =>
      `${hex(`${step}::bigint`)} as from_${step}, ${hex(`${step}::bigint - ${ID_STEPS_PER_COPY} * copy`)} as to_${step}`,
  );
  return `with copies as materialized (
            select copy, copy * interval '${(ID_STEPS_PER_COPY * ID_STEP_MS) / 1000} s' as back, ${digits.join(', ')}
              from generate_series($newest, $oldest) as copy)
          insert into ${table} (${columns.map(({ name }) => name).join(', ')})
          select ${columns.map(copied).join(', ')}
            from ${originalOf(table)} as original cross join copies
           order by copy desc, original.ctid`;
}

interface Column {
  readonly name: string;
  readonly type: string;
  /** Whether the column contains ids, possibly within a text. */
  readonly hasIds: boolean;
}

/** Returns all columns except positions and transactions, which are assigned anew. */
async function columnsOf(database: TestDatabase, table: string, ids: readonly string[]): Promise<Column[]> {
  const columns = await database.sql<{ name: string; type: string }>(
    `select quote_ident(attname) as name, format_type(atttypid, atttypmod) as type
       from pg_attribute
      where attrelid = $1::regclass and attnum > 0 and not attisdropped and attidentity = '' and atttypid <> 'xid8'::regtype
      order by attnum`,
    [table],
  );
  const [hasIds = {}] = await database.sql<Record<string, boolean>>(
    `select ${columns.map(({ name }) => `bool_or(${name}::text like any ($1)) as ${name}`).join(', ')} from ${table}`,
    [ids],
  );
  return columns.map(({ name, type }) => ({ name, type, hasIds: hasIds[name] ?? false }));
}
