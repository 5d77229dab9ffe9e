import { type TestDatabase } from '@twinbox/messaging/testing';
import { blocksFor, createServiceDatabase } from '@twinbox/test-support';

let database: TestDatabase;
let queries: readonly string[];

beforeAll(async () => {
  database = await createServiceDatabase();
  const blocks = await blocksFor('queries for operators');
  queries = blocks.map(({ text }) => /^psql .* <<'SQL'\n([^]*)\nSQL$/m.exec(text)?.[1] ?? '');
});
afterAll(() => database.drop());

const SCHEMAS = ['orders', 'payments'];

it('P5 the query in the operations guide finds every dead letter and dead job of every schema, with its order', async () => {
  for (const schema of SCHEMAS) {
    await database.sql(`
      insert into ${schema}.inbox_parked (consumer, topic, partition, "offset", recorded_at, type, key, headers, holds_key, error, dead_at)
      values ('c', 't', 0, 1, now(), 'T', '${schema}-in', '{}', true, 'no', now()), ('c', 't', 0, 2, now(), 'T', 'alive', '{}', true, null, null)`);
    await database.sql(`
      insert into ${schema}.outbox_parked
        (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, error, dead_at)
      values (1, gen_random_uuid(), 'a', '${schema}-out', 'T', 'urn', 1, '{}', now(), 'no', now()),
             (2, gen_random_uuid(), 'a', 'alive', 'T', 'urn', 1, '{}', now(), null, null)`);
    await database.sql(`
      insert into ${schema}.jobs (id, queue, data, run_at, error, dead_at)
      values (gen_random_uuid(), 'q', '{"orderId":"${schema}-job"}', now(), 'no', now()), (gen_random_uuid(), 'q', '{}', now(), null, null)`);
  }

  const [orderId, requestId] = ['019a0000-0000-7000-8000-000000000001', '019a0000-0000-7000-8000-000000000002'];
  await database.sql(
    `insert into payments.payment_requests
       (id, order_id, customer_id, amount, currency, gateway, status, version, expires_at, created_at, updated_at)
     values ($1, $2, 'ada', 900, 'EUR', 'manual', 'PENDING', 1, now(), now(), now())`,
    [requestId, orderId],
  );
  await database.sql(
    `insert into payments.jobs (id, queue, data, run_at, error, dead_at)
     values (gen_random_uuid(), 'charge', jsonb_build_object('paymentRequestId', $1::text), now(), 'no', now())`,
    [requestId],
  );

  const rows = await database.sql<{ box: string; key: string }>(queries.find((sql) => sql.includes('dead_at')) ?? '');

  expect(rows.map(({ box, key }) => `${box} ${key}`).toSorted()).toEqual(
    [
      ...SCHEMAS.flatMap((schema) => [
        `${schema}.inbox_parked ${schema}-in`,
        `${schema}.jobs ${schema}-job`,
        `${schema}.outbox_parked ${schema}-out`,
      ]),
      `payments.jobs ${orderId}`,
    ].toSorted(),
  );
});

it('the query in the operations guide counts the unpublished messages of every schema', async () => {
  for (const schema of SCHEMAS) {
    await database.sql(`
      insert into ${schema}.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
      values (gen_random_uuid(), 'a', 'k', 'T', 'urn', 1, '{}')`);
  }

  const rows = await database.sql(queries.find((sql) => sql.includes('unpublished')) ?? '');

  expect(rows).toMatchObject(SCHEMAS.map((schema) => ({ schema, unpublished: '1' })));
});

it('the queries in the documentation of the library count unpublished messages and waiting jobs', async () => {
  const [unpublished = '', waiting = ''] = (await blocksFor('queries on the tables of the library')).map(({ text }) =>
    text.replaceAll('shipping.', 'orders.'),
  );
  await database.sql('truncate orders.outbox, orders.jobs');
  await database.sql(`
    insert into orders.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
    values (gen_random_uuid(), 'a', 'k', 'T', 'urn', 1, '{}')`);
  await database.sql(`
    insert into orders.jobs (id, queue, data, run_at)
    values (gen_random_uuid(), 'q', '{}', now()), (gen_random_uuid(), 'q', '{}', now() + interval '1 day')`);

  expect(await database.sql(unpublished)).toMatchObject([{ unpublished: '1' }]);
  expect(await database.sql(waiting)).toMatchObject([{ queue: 'q', waiting: '1' }]);
});
