import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { type Child, startChild } from '../support/child.js';
import { type Figure, ratio, spread } from '../support/figures.js';
import { createWorld, type Servers } from '../support/servers.js';

const CONNECTIONS = 16;

/** Measures what the message costs an order: the same transactions with and without the outbox row. */
export async function writer(servers: Servers): Promise<Figure[]> {
  const [plain, withRow, relayed]: [number[], number[], number[]] = [[], [], []];
  const rounds = servers.quick ? 1 : 5;
  const beginRound = servers.rounds(rounds);
  for (let round = 0; round < rounds; round++) {
    beginRound();
    plain.push(await commitsPerSecond(servers, false, false));
    withRow.push(await commitsPerSecond(servers, true, false));
    relayed.push(await commitsPerSecond(servers, true, true));
  }
  return [
    { what: `orders at ${CONNECTIONS} connections, no outbox row, commits/s`, value: spread(plain) },
    { what: '  with the outbox row', value: spread(withRow) },
    { what: '  with / without the outbox row', value: ratio(withRow, plain), goal: '≥ 0.85' },
    { what: '  with the outbox row and a relay on the same cores / without', value: ratio(relayed, plain) },
  ];
}

async function commitsPerSecond(servers: Servers, withRow: boolean, withRelay: boolean): Promise<number> {
  const world = await createWorld(servers);
  let relay: Child<unknown> | undefined;
  const clients: pg.Client[] = [];
  try {
    await world.database.sql(`
      create table bench.products (
        id bigint primary key, name text not null, price bigint not null, available integer not null);
      create table bench.orders (
        id uuid primary key, customer_id text not null, status text not null, version integer not null,
        currency text not null, total bigint not null, placed_at timestamptz not null default now());
      create table bench.order_items (
        order_id uuid references bench.orders, product_id bigint not null, name text not null,
        price bigint not null, quantity integer not null, primary key (order_id, product_id));
      create table bench.order_timeline (
        position bigint generated always as identity, order_id uuid not null, type text not null, status text not null,
        version integer not null, at timestamptz not null default now(), actor text not null,
        primary key (order_id, position));
      insert into bench.products select n, 'product ' || n, n, 1000000 from generate_series(0, 9999) as n`);
    await world.database.sql('checkpoint');
    if (withRelay) relay = await startChild('relay', world);
    for (let n = 0; n < CONNECTIONS; n++) {
      const client = new pg.Client({ connectionString: world.databaseUrl, pipeline: true });
      await client.connect();
      clients.push(client);
    }
    const seconds = servers.quick ? 2 : 8;
    const end = performance.now() + seconds * 1000;
    let commits = 0;
    const work = async (client: pg.Client, index: number) => {
      for (let n = index; performance.now() < end; n += CONNECTIONS, commits++) await placeOrder(client, n, withRow);
    };
    await Promise.all(clients.map(work));
    return commits / seconds;
  } finally {
    await Promise.all(clients.map((client) => client.end()));
    await relay?.kill();
    await world.close();
  }
}

/** Runs the statements of `POST /orders` in order-service, with two items. */
async function placeOrder(client: pg.Client, n: number, withRow: boolean): Promise<void> {
  const run = (name: string, text: string, values: unknown[]) => client.query({ name, text, values });
  const products = [n % 10_000, (n + 1) % 10_000];
  const id = uuidv7();
  await client.query('begin');
  await run('catalogue', 'select id, name, price, available from bench.products where id = any($1)', [products]);
  // Sent together, as in the service.
  await Promise.all([
    run(
      'order',
      `with added as (
         insert into bench.orders (id, customer_id, status, version, currency, total)
         values ($1, 'demo', 'PLACED', 2, 'EUR', $2)
       ), contents as (
         insert into bench.order_items (order_id, product_id, name, price, quantity)
         values ($1, $3, 'one', 100, 1), ($1, $4, 'two', 200, 2)
       )
       insert into bench.order_timeline (order_id, type, status, version, actor)
       values ($1, 'OrderCreated', 'DRAFT', 1, 'customer:demo'), ($1, 'OrderPlaced', 'PLACED', 2, 'customer:demo')`,
      [id, n, ...products],
    ),
    run(
      'reserve',
      `with locked as materialized (
         select id, available from bench.products where id = any($1) order by id for no key update)
       update bench.products p set available = locked.available - 1 from locked where p.id = locked.id`,
      [products],
    ),
    ...(withRow
      ? [
          run(
            'add',
            `insert into bench.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
             values (uuidv7(), 'bench', $1::uuid::text, 'Noted', 'urn:event:Noted:1', 1, $2)`,
            [id, NOTE],
          ),
        ]
      : []),
  ]);
  await client.query('commit');
}

const NOTE = JSON.stringify({ note: 'x'.repeat(489) });
