import pg from 'pg';
import { InboxStore } from './inbox-store.js';
import { messagingRetention } from '../postgres/schema.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';

const DAY_MS = 24 * 3600 * 1000;
const RETENTION_MS = 30 * DAY_MS;
const CONSUMER = 'old-consumer';

let sandbox: Sandbox;
let old: pg.Client | undefined;

const sql = <Row extends object>(text: string, values?: unknown[]) => sandbox.database.sql<Row>(text, values);

async function given(count: number, days: number, consumer = CONSUMER): Promise<void> {
  await sql(
    `insert into sandbox.inbox (consumer, message_id, source, received_at)
     select $1, gen_random_uuid(), '/test', now() - ($2::int || ' days')::interval - random() * interval '1 day'
       from generate_series(1, $3::int)`,
    [consumer, days, count],
  );
}

async function forgetAll(store: InboxStore): Promise<void> {
  while (await store.forget(sandbox.dataSource, RETENTION_MS));
}

/** Returns the number of blocks that the store's next scan reads, once its session knows the tables. */
async function blocksOf(store: InboxStore): Promise<number> {
  const sent: { query: string; parameters: unknown[] }[] = [];
  sandbox.dataSource.subscribers.push({
    beforeQuery: ({ query, parameters }) =>
      void sent.push({ query, parameters: (parameters as unknown[] | undefined) ?? [] }),
  });
  await store.forget(sandbox.dataSource, RETENTION_MS);
  sandbox.dataSource.subscribers.pop();
  const { query, parameters } = sent[0]!;
  const session = new pg.Client({ connectionString: sandbox.database.directUrl });
  await session.connect();
  await session.query(query, parameters);
  const { rows } = await session.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
    `explain (analyze, buffers, format json) ${query}`,
    parameters,
  );
  await session.end();
  const { Plan } = rows[0]!['QUERY PLAN'][0];
  return Plan['Shared Hit Blocks']! + Plan['Shared Read Blocks']!;
}

const countOf = async (consumer: string) =>
  (await sql<{ count: number }>('select count(*)::int from sandbox.inbox where consumer = $1', [consumer]))[0]!.count;

beforeEach(async () => {
  sandbox = await createSandbox();
});

afterEach(async () => {
  await old?.end();
  old = undefined;
  await sandbox.close();
});

it.each(['without', 'with'])(
  'P7 a scan that finds nothing to delete reads few blocks of an old table, %s statistics',
  async (statistics) => {
    // Old rows of one consumer between those of another, and then new rows in their place.
    for (let n = 0; n < 4; n++) {
      await given(10_000, 40);
      await given(10_000, 40, 'another');
    }
    await forgetAll(new InboxStore('sandbox', CONSUMER, true));
    await sql('vacuum sandbox.inbox');
    await given(40_000, 1);
    await given(100, 29);
    await sql('vacuum sandbox.inbox');
    if (statistics === 'with') await sql('analyze sandbox.inbox');

    const blocks = await blocksOf(new InboxStore('sandbox', CONSUMER, true));

    expect(blocks).toBeLessThan(50);
    expect(await countOf(CONSUMER)).toBe(40_100);
    expect(await countOf('another')).toBe(40_000);
  },
);

it('P6 P7 a scan does not read deleted rows again while an old transaction is open', async () => {
  await given(50_000, 40);
  await given(1000, 1);
  old = new pg.Client({ connectionString: sandbox.database.directUrl });
  await old.connect();
  await old.query('begin isolation level repeatable read');
  await old.query('select 1');
  const store = new InboxStore('sandbox', CONSUMER, true);

  await forgetAll(store);
  // Once more, for rows that were locked the first time.
  await forgetAll(store);
  const blocks = await blocksOf(store);

  expect(await countOf(CONSUMER)).toBe(1000);
  expect(blocks).toBeLessThan(50);
});

it('P7 deletes the oldest rows first', async () => {
  await given(3000, 40);
  await given(3000, 60);

  const more = await new InboxStore('sandbox', CONSUMER, true).forget(sandbox.dataSource, RETENTION_MS);

  const [left] = await sql<{ count: number; young: boolean }>(
    `select count(*)::int, bool_and(received_at > now() - interval '50 days') as young from sandbox.inbox`,
  );
  expect(more).toBe(true);
  expect(left).toEqual({ count: 1000, young: true });
});

it('P4 does not forget a message before the least retention has passed, whatever the consumer is configured to', async () => {
  for (const statement of messagingRetention('sandbox', { inboxMs: 30 * DAY_MS })) await sql(statement);
  await given(2, 28);
  await given(3, 31);

  await new InboxStore('sandbox', CONSUMER, true).forget(sandbox.dataSource, 1000);

  const [left] = await sql<{ count: number; young: boolean }>(
    `select count(*)::int, bool_and(received_at > now() - interval '30 days') as young from sandbox.inbox`,
  );
  expect(left).toEqual({ count: 2, young: true });
});
