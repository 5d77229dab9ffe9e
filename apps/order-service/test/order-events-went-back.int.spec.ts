import { randomUUID } from 'node:crypto';
import { testServerUrl, until } from '@twinbox/messaging/testing';
import { type EventClient } from '@twinbox/test-support';
import pg from 'pg';
import { type Client, type Replica, startWorld, type World } from './order-events.harness.js';

let world: World;
let here: Replica;
beforeEach(async () => {
  world = await startWorld();
  here = await world.startReplica();
});
afterEach(() => world.stop());

const aUser = () => `customer ${randomUUID()}`;

async function place({ post }: Client): Promise<string> {
  const { body } = await post('/orders', { items: [{ productId: 'tea', quantity: 1 }] });
  return body.id;
}

const ordersOf = ({ events }: EventClient) => events.map(({ data }) => data.orderId);

async function gets(client: EventClient, orderId: string): Promise<void> {
  await until('the order is reported', () => ordersOf(client).includes(orderId));
}

/** Copies the database and returns a function that replaces it with the copy, as a restore does. */
async function aCopy(): Promise<() => Promise<void>> {
  const name = new URL(world.database.url).pathname.slice(1);
  const copy = `${name}_copy`;
  const alone = async (...statements: string[]) => {
    const admin = new pg.Client({ connectionString: testServerUrl() });
    await admin.connect();
    await admin.query(`alter database ${name} allow_connections false`);
    await admin.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1', [name]);
    for (const statement of statements) await admin.query(statement);
    await admin.query(`alter database ${name} allow_connections true`);
    await admin.end();
  };
  await alone(`create database ${copy} template ${name}`);
  return () =>
    alone(
      `drop database ${name} with (force)`,
      `alter database ${copy} allow_connections true`,
      `alter database ${copy} rename to ${name}`,
    );
}

const losses: [string, () => Promise<() => Promise<unknown>>][] = [
  ['is restored from an older copy', aCopy],
  ['is emptied', () => Promise.resolve(() => world.database.sql('truncate orders.order_timeline restart identity'))],
  [
    'has lost its last steps',
    () =>
      Promise.resolve(async () => {
        await world.database.sql('alter table orders.order_timeline disable trigger append_only');
        await world.database.sql('delete from orders.order_timeline');
        await world.database.sql('alter table orders.order_timeline enable trigger append_only');
        await world.database.sql(`select setval('orders.order_timeline_position_seq', 1, false)`);
      }),
  ],
];

it.each(losses)('P2 a timeline that %s ends all streams, and clients start again', async (_, prepare) => {
  const [ada, olga] = [aUser(), aUser()];
  const customer = here.as(ada);
  await place(customer);
  const lose = await prepare();
  const streams = await Promise.all([
    customer.follow('/orders/events'),
    here.as(olga, 'operator').follow('/orders/events'),
  ]);
  const lost = await until('an order is placed', () => place(customer));
  for (const stream of streams) await gets(stream, lost);

  await lose();
  await until('the streams end', () => streams.every(({ ended }) => ended === 'cleanly'));
  const resumed = await until('the service is back', async () => {
    const client = await customer.follow('/orders/events', streams[0]?.lastEventId);
    return client.response.statusCode !== 503 && client;
  });
  expect(resumed.response.statusCode).toBe(400);
  expect(await resumed.problem()).toMatchObject({ type: 'urn:twinbox:problem:event-unknown' });
  const restarted = await customer.follow('/orders/events');
  const orderId = await place(customer);
  await gets(restarted, orderId);

  expect(ordersOf(restarted)).toEqual([orderId]);
});

it('P2 a client that resumes after the timeline was emptied is not left waiting', async () => {
  const customer = here.as(aUser());
  const client = await customer.follow('/orders/events');
  await gets(client, await place(customer));
  client.leave();

  await world.database.sql('truncate orders.order_timeline restart identity');
  await place(customer);
  const resumed = await customer.follow('/orders/events', client.lastEventId);

  expect(resumed.response.statusCode).toBe(400);
});

it('P2 a sequence that was reset ends the streams, because clients ignore known positions', async () => {
  const customer = here.as(aUser());
  const client = await customer.follow('/orders/events');
  await gets(client, await place(customer));

  await world.database.sql('alter table orders.order_timeline alter column position restart with 1');
  await until('the stream ends', () => client.ended === 'cleanly');
  const restarted = await customer.follow('/orders/events');
  const orderId = await place(customer);

  await gets(restarted, orderId);
});

it('P2 P8 a database that comes back without losses ends no stream', async () => {
  const customer = here.as(aUser());
  const client = await customer.follow('/orders/events');
  await gets(client, await place(customer));

  const letIn = await world.cutOff();
  await letIn();
  const orderId = await until('an order is placed', () => place(customer));
  await gets(client, orderId);

  expect(client.ended).toBeUndefined();
});
