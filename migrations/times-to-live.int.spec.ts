import { createDatabase, type TestDatabase, testServerUrl } from '@twinbox/messaging/testing';
import { DataSource } from 'typeorm';
import { SCHEMAS } from './schemas.js';

let database: TestDatabase;
let db: DataSource;

beforeAll(async () => {
  database = await createDatabase(testServerUrl());
  db = await new DataSource({ type: 'postgres', url: database.url }).initialize();
});

afterAll(async () => {
  await db.destroy();
  await database.drop();
});

/** Creates the tables as they were before payments had a time to live. Returns a function that runs the next migration. */
async function before(schema: 'orders' | 'payments'): Promise<() => Promise<void>> {
  await database.sql(`create schema ${schema}`);
  const runner = db.createQueryRunner();
  const migrations = SCHEMAS.find((each) => each.schema === schema)!.migrations.map((Migration) => new Migration());
  const next = migrations.findIndex(({ constructor }) => constructor.name.endsWith('1764500000000'));
  for (const migration of migrations.slice(0, next)) await migration.up(runner);
  return async () => {
    await migrations[next]!.up(runner);
    await runner.release();
  };
}

const IN_MINUTES = `(extract(epoch from %s - now()) / 60)::float8 as minutes`;

it('the migration gives a pending payment the full time to live, however old it is', async () => {
  const migrate = await before('payments');
  await database.sql(`
    insert into payments.payment_requests
      (id, order_id, customer_id, amount, currency, status, version, created_at, updated_at)
    select gen_random_uuid(), gen_random_uuid(), 'ada', 900, 'EUR', status, 1, now() - interval '3 days', now()
      from unnest(array['PENDING', 'SUCCEEDED']) as status`);

  await migrate();

  const [pending, paid] = await database.sql<{ minutes: number; gateway: string }>(
    `select ${IN_MINUTES.replace('%s', 'expires_at')}, gateway from payments.payment_requests order by status`,
  );
  expect(pending!.minutes).toBeGreaterThan(13);
  expect(pending!.minutes).toBeLessThanOrEqual(15);
  expect(paid!.minutes).toBeLessThan(0);
  expect([pending!.gateway, paid!.gateway]).toEqual(['manual', 'manual']);
});

it('the migration makes its order due at the same time', async () => {
  const migrate = await before('orders');
  await database.sql(`
    insert into orders.orders (id, customer_id, status, total, currency, version, created_at, updated_at)
    values (gen_random_uuid(), 'ada', 'PAYMENT_PENDING', 900, 'EUR', 2, now() - interval '3 days', now() - interval '3 days')`);

  await migrate();

  const [order] = await database.sql<{ minutes: number }>(
    `select ${IN_MINUTES.replace('%s', 'due_at')} from orders.orders`,
  );
  expect(order!.minutes).toBeGreaterThan(13);
  expect(order!.minutes).toBeLessThanOrEqual(15);
});
