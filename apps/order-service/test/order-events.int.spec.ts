import { randomUUID } from 'node:crypto';
import { until } from '@twinbox/messaging/testing';
import { type EventClient, expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { Feed } from '../src/application/live/feed.js';
import {
  burnTransactions,
  type Client,
  INSERT_STEP,
  type Replica,
  startWorld,
  type World,
} from './order-events.harness.js';

let world: World;
let here: Replica;
let there: Replica;
beforeAll(async () => {
  world = await startWorld();
  [here, there] = await Promise.all([world.startReplica(), world.startReplica()]);
});
afterEach(() => world.clear());
afterAll(() => world.stop());

const aUser = () => `customer ${randomUUID()}`;

async function place({ post }: Client, quantity = 1): Promise<string> {
  const { body } = await post('/orders', { items: [{ productId: 'tea', quantity }] });
  return body.id;
}

const cancel = ({ post }: Client, orderId: string) => post(`/orders/${orderId}/cancel`, { reason: 'no more' });

/** The distinct steps that a client received. */
function steps({ events }: EventClient): string[] {
  return [...new Set(events.map(({ data }) => `${data.orderId} ${data.version} ${data.type}`))];
}

/** Adds $3 steps of maximum size to each of the orders $1 of customer $2, in one transaction. */
const INSERT_LARGE_STEPS = `
  insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor, detail)
  select order_id, $2, 'Tested', 'PLACED', version, now(), 'system', jsonb_build_object('reason', repeat('🫖', 500))
    from unnest($1::uuid[]) as order_id, generate_series(1, $3::int) as version`;

const gets = (client: EventClient, count: number) =>
  until(`the client gets ${count} steps`, () => steps(client).length >= count);

describe('events of orders', () => {
  it('reach the clients of other replicas', async () => {
    const ada = aUser();
    const client = await there.as(ada).follow('/orders/events');

    const orderId = await place(here.as(ada));
    await cancel(here.as(ada), orderId);
    await gets(client, 2);

    expect(client.response.headers['content-type']).toMatch(/^text\/event-stream/);
    expect(client.response.headers['cache-control']).toBe('no-store');
    expect(client.response.headers['x-accel-buffering']).toBe('no');
    const { body } = await here.as(ada).get(`/orders/${orderId}/timeline`);
    expect(client.events.map(({ event }) => event)).toEqual(['order', 'order']);
    expect(client.events.map(({ data }) => data)).toEqual(body.items.map((step: object) => ({ orderId, ...step })));
    expect(new Set(client.events.map(({ id }) => id)).size).toBe(2);
  });

  it('are announced to all replicas once they are committed', async () => {
    const listener = await world.openWriter();
    const notices: unknown[] = [];
    listener.onNotice((channel) => notices.push(channel));
    await listener.sql('listen orders_timeline');
    const client = await there.as(aUser()).follow('/orders/events');
    await until('it begins', () => client.lastEventId);

    await place(here.as(aUser()));

    await until('the commit is announced', () => notices.includes('orders_timeline'));
    // Both replicas listen, each on one connection.
    const listening = await world.database.sql(
      `select count(*)::int from pg_stat_activity
        where application_name = 'order-service feed' and datname = current_database()`,
    );
    expect(listening).toEqual([{ count: 2 }]);
    await listener.end();
  });

  it('P10 are sent only to the customer of the order and to operators', async () => {
    const [ada, bob] = [aUser(), aUser()];
    const [adas, bobs, operators] = await Promise.all([
      here.as(ada).follow('/orders/events'),
      here.as(bob).follow('/orders/events'),
      there.as('olga', 'operator').follow('/orders/events'),
    ]);

    const first = await place(here.as(ada));
    const second = await place(there.as(bob));
    await until('the operator gets both', () =>
      [first, second].every((id) => operators.events.some(({ data }) => data.orderId === id)),
    );
    await Promise.all([gets(adas, 1), gets(bobs, 1)]);

    expect(adas.events.map(({ data }) => data.orderId)).toEqual([first]);
    expect(bobs.events.map(({ data }) => data.orderId)).toEqual([second]);
  });

  it('P10 tell a customer what an operator did, but not which operator it was', async () => {
    const ada = aUser();
    const orderId = await place(here.as(ada));
    const operator = here.as('olga', 'operator');
    const [customers, operators] = await Promise.all([
      here.as(ada).follow(`/orders/${orderId}/events`),
      operator.follow(`/orders/${orderId}/events`),
    ]);
    // Otherwise the newest step, with which they begin, might be the cancellation.
    await Promise.all([gets(customers, 1), gets(operators, 1)]);

    await cancel(operator, orderId);
    await Promise.all([gets(customers, 2), gets(operators, 2)]);
    const seen = await Promise.all([here.as(ada), operator].map((who) => who.get(`/orders/${orderId}/timeline`)));

    expect(customers.events.map(({ data }) => data.actor)).toEqual([`customer:${ada}`, 'operator']);
    expect(operators.events.map(({ data }) => data.actor)).toEqual([`customer:${ada}`, 'operator:olga']);
    expect(seen.map(({ body }) => body.items[1].actor)).toEqual(['operator', 'operator:olga']);
    expect(JSON.stringify(customers.events)).not.toContain('olga');
  });

  it('of one order begin with its newest step and exclude other orders', async () => {
    const ada = aUser();
    const customer = here.as(ada);
    const [orderId, other] = [await place(customer), await place(customer)];
    const client = await there.as(ada).follow(`/orders/${orderId.toUpperCase()}/events`);
    await gets(client, 1);

    await cancel(customer, other);
    await cancel(customer, orderId);
    await gets(client, 2);

    expect(steps(client)).toEqual([`${orderId} 1 OrderPlaced`, `${orderId} 2 OrderCancelled`]);
  });
});

describe('P2 nothing is lost', () => {
  it('of a transaction that commits after a later one, to a client that resumes in between', async () => {
    const ada = aUser();
    const [early, late] = await Promise.all([world.openWriter(), world.openWriter()]);
    const [earlier, later, last] = [uuidv7(), uuidv7(), uuidv7()];
    const first = await here.as(ada).follow('/orders/events');

    await early.sql('begin');
    await early.sql(INSERT_STEP, [earlier, ada, 1]);
    await late.sql(INSERT_STEP, [later, ada, 1]);
    await gets(first, 1);
    first.leave();
    const second = await there.as(ada).follow('/orders/events', first.lastEventId);
    await early.sql('commit');
    await late.sql(INSERT_STEP, [last, ada, 1]);
    await until('the last one comes', () => steps(second).some((step) => step.startsWith(last)));
    const third = await here.as(ada).follow('/orders/events', first.lastEventId);
    await until('the last one comes', () => steps(third).some((step) => step.startsWith(last)));
    await Promise.all([early.end(), late.end()]);

    expect(steps(first)).toEqual([`${later} 1 Tested`]);
    expect(steps(second)).toEqual([earlier, last].map((id) => `${id} 1 Tested`));
    expect(steps(third)).toEqual([earlier, last].map((id) => `${id} 1 Tested`));
  });

  it.each(['/orders/events', '/orders/:id/events'])(
    'to a client of %s that is cut off repeatedly while 200 changes are made',
    async (path) => {
      const ada = aUser();
      const orderId = uuidv7();
      await world.database.sql(
        `insert into orders.orders (id, customer_id, status, total, currency, version, created_at, updated_at)
         values ($1, $2, 'PLACED', 1, 'EUR', 1, now(), now())`,
        [orderId, ada],
      );
      const url = path.replace(':id', orderId);
      const LAST = 201;
      const got = new Set<number>();
      let lastEventId: string | undefined;
      let isFollowing = false;
      const client = (async () => {
        for (let turn = 0; !got.has(LAST); turn++) {
          const replica = turn % 2 === 0 ? here : there;
          const stream = await replica.as(ada).follow(url, lastEventId);
          expect(stream.response.statusCode).toBe(200);
          isFollowing = true;
          await until(
            'some come, or the last one',
            () => stream.events.length > 5 || stream.events.some(({ data }) => data.version === LAST),
          );
          for (const { data } of stream.events) got.add(data.version);
          ({ lastEventId = lastEventId } = stream);
          stream.leave();
        }
      })();
      // A stream begins with what happens from now on.
      await until('the client follows', () => isFollowing);
      // Concurrent transactions that end in any order.
      const versions = Array.from({ length: 200 }, (_, index) => index + 1);
      await Promise.all(
        [0, 1, 2, 3].map(async (writer) => {
          const connection = await world.openWriter();
          for (const version of versions.filter((each) => each % 4 === writer)) {
            await connection.sql('begin');
            await connection.sql(INSERT_STEP, [orderId, ada, version]);
            await connection.sql(`select pg_sleep(random() * 0.02)`);
            await connection.sql('commit');
          }
          await connection.end();
        }),
      );
      // Committed after all others, so it is sent last.
      await world.database.sql(INSERT_STEP, [orderId, ada, LAST]);
      await client;

      expect([...got].toSorted((a, b) => a - b)).toEqual([...versions, LAST]);
    },
  );

  it('to a client that resumes after many changes of other orders', async () => {
    const ada = aUser();
    const orderId = await place(here.as(ada));
    const first = await here.as(ada).follow('/orders/events');
    await until('it begins', () => first.lastEventId);
    first.leave();
    await cancel(here.as(ada), orderId);
    await world.database.sql(`
      do $$ begin
        for n in 1..1500 loop
          insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor)
          values (gen_random_uuid(), 'others', 'Tested', 'PLACED', 1, now(), 'system');
          commit;
        end loop;
        -- Each exception block takes an id too, so many that walking the customer's own orders is cheaper.
        for n in 1..11000 loop
          begin
            insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor)
            values (gen_random_uuid(), 'others', 'Rolled back', 'PLACED', 1, now(), 'system');
            raise exception 'never';
          exception when raise_exception then null;
          end;
        end loop;
        commit;
        insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor)
        values (gen_random_uuid(), 'others', 'Tested', 'PLACED', 1, now(), 'system');
      end $$`);

    const own = await there.as(ada).follow('/orders/events', first.lastEventId);
    const one = await there.as(ada).follow(`/orders/${orderId}/events`, first.lastEventId);
    const all = await there.as('olga', 'operator').follow('/orders/events', first.lastEventId);
    await until(
      'the operator has got all',
      () => all.events.filter(({ data }) => data.type === 'Tested').length === 1501,
    );

    expect(steps(own)).toEqual([`${orderId} 2 OrderCancelled`]);
    expect(steps(one)).toEqual([`${orderId} 2 OrderCancelled`]);
    expect(steps(all)).toContain(`${orderId} 2 OrderCancelled`);
    await until('its place moves on', () => own.lastEventId !== first.lastEventId);
    const again = await here.as(ada).follow('/orders/events', own.lastEventId);
    await cancel(here.as(ada), await place(here.as(ada)));
    await gets(again, 2);
    expect(steps(again).some((step) => step.startsWith(orderId))).toBe(false);
  });

  it('of a large transaction, to a client that is cut off in the middle of it', async () => {
    const ada = aUser();
    await place(here.as(ada));
    const client = await here.as(ada).follow('/orders/events');
    const orders = Array.from({ length: 3000 }, () => uuidv7());
    await world.database.sql(
      `insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor)
       select unnest($1::uuid[]), $2, 'Tested', 'PLACED', 1, now(), 'system'`,
      [orders, ada],
    );
    await gets(client, 3000);
    const got = steps(client);

    const inTheMiddle = await there.as(ada).follow('/orders/events', client.events[1000]?.id);
    const atTheEnd = await there.as(ada).follow('/orders/events', client.lastEventId);
    await gets(inTheMiddle, 1999);
    await world.database.sql(INSERT_STEP, [orders[0], ada, 2]);
    await gets(atTheEnd, 1);

    const all = orders.map((id) => `${id} 1 Tested`);
    expect(got.toSorted()).toEqual(all.toSorted());
    const resumed = new Set([...got.slice(0, 1001), ...steps(inTheMiddle)]);
    expect(all.filter((step) => !resumed.has(step))).toEqual([]);
    expect(steps(atTheEnd)).toEqual([`${orders[0]} 2 Tested`]);
  });

  it.each([
    ['within the last transactions', 0],
    ['long ago', 11_000],
  ])('to a customer who missed 5,000 large steps and left %s', async (_, transactions) => {
    const ada = aUser();
    const first = await here.as(ada).follow('/orders/events');
    await until('it begins', () => first.lastEventId);
    first.leave();
    const orders = Array.from({ length: 1000 }, () => uuidv7());
    await world.database.sql(
      `insert into orders.orders (id, customer_id, status, total, currency, version, created_at, updated_at)
       select unnest($1::uuid[]), $2, 'PLACED', 1, 'EUR', 1, now(), now()`,
      [orders, ada],
    );
    await world.database.sql(burnTransactions(transactions));
    await world.database.sql(INSERT_LARGE_STEPS, [orders, ada, 5]);

    const again = await there.as(ada).follow('/orders/events', first.lastEventId);
    await until('all have come, or it was cut off', () => again.ended ?? again.events.length >= 5000);
    // It resumes in the middle of the walk instead of starting over.
    const inTheMiddle = await here.as(ada).follow('/orders/events', again.events[4000]?.id);
    await world.database.sql(INSERT_STEP, [orders[0], ada, 6]);
    await until('what is new comes', () => inTheMiddle.events.some(({ data }) => data.version === 6));

    expect(again.ended).toBeUndefined();
    expect(new Set(again.events.map(({ data }) => data.position)).size).toBeGreaterThanOrEqual(5000);
    const resumed = new Set([...again.events.slice(0, 4001), ...inTheMiddle.events].map(({ data }) => data.position));
    expect(again.events.filter(({ data }) => !resumed.has(data.position))).toEqual([]);
    if (transactions > 0) expect(inTheMiddle.events.length).toBeLessThan(2000);
  });

  it('P7 to an operator who receives a thousand large steps at once and is not cut off', async () => {
    const operator = await here.as('olga', 'operator').follow('/orders/events');
    await until('it begins', () => operator.lastEventId);

    await world.database.sql(INSERT_LARGE_STEPS, [Array.from({ length: 1000 }, () => uuidv7()), aUser(), 1]);
    await until('all have come, or it was cut off', () => operator.ended ?? operator.events.length >= 1000);

    expect(operator.ended).toBeUndefined();
    expect(operator.events[999]?.data.detail.reason).toHaveLength(1000);
  });

  it('when notices get lost, as behind a pooler in transaction mode', async () => {
    const ada = aUser();
    const client = await there.as(ada).follow('/orders/events');
    const orderId = uuidv7();

    // Committed without a notice.
    await world.database.sql(INSERT_STEP, [orderId, ada, 1]);

    await gets(client, 1);
  });

  it('while PostgreSQL is down: streams stay open and continue afterwards', async () => {
    const ada = aUser();
    const client = await here.as(ada).follow('/orders/events');
    await until('it begins', () => client.lastEventId);
    const writer = await world.openWriter();
    const letIn = await world.cutOff();

    const began = performance.now();
    const refused = await here.as(ada).get('/orders/events');
    const elapsedMs = performance.now() - began;
    // Only the replicas are cut off.
    const orderId = uuidv7();
    await writer.sql(INSERT_STEP, [orderId, ada, 1]);
    await writer.end();
    await letIn();
    await gets(client, 1);

    expectProblem(refused, 503, 'database-unavailable');
    expect(elapsedMs).toBeLessThan(2000);
    expect(client.ended).toBeUndefined();
    expect(steps(client)).toEqual([`${orderId} 1 Tested`]);
  });
});

describe('a replica', () => {
  it('listens on one connection for all clients and sends no queries while there are none', async () => {
    const clients = [here, there].flatMap((replica) => Array.from({ length: 5 }, () => replica.as(aUser())));
    const streams = await Promise.all(clients.map((client) => client.follow('/orders/events')));
    await place(here.as(aUser()));
    expect(await world.feeds()).toHaveLength(2);

    for (const stream of streams) stream.leave();

    // With clients it would poll once a second.
    await until('both are idle', async () => (await world.feeds()).every((seconds) => seconds > 2.5));
    expect(await world.feeds()).toHaveLength(2);
  });

  it('P8 closes its streams cleanly when it stops', async () => {
    const replica = await world.startReplica();
    const ada = aUser();
    const client = await replica.as(ada).follow('/orders/events');
    await until('it begins', () => client.lastEventId);

    await replica.stop();

    await until('the stream has ended', () => client.ended);
    expect(client.ended).toBe('cleanly');
    const orderId = await place(here.as(ada));
    const again = await there.as(ada).follow('/orders/events', client.lastEventId);
    await gets(again, 1);
    expect(steps(again)).toEqual([`${orderId} 1 OrderPlaced`]);
  });

  it('rejects the twenty-first stream of a user until one is closed', async () => {
    const ada = here.as(aUser());
    const clients = await Promise.all(Array.from({ length: 20 }, () => ada.follow('/orders/events')));

    const refused = await ada.get('/orders/events');
    clients[0]?.leave();

    expectProblem(refused, 429, 'too-many-streams', { most: 20 });
    expect(refused.headers.get('retry-after')).toBe('1');
    await until('there is room', async () => (await ada.follow('/orders/events')).response.statusCode === 200);
  });
});

describe('a stream is rejected', () => {
  it.each([
    '17',
    'x',
    '_',
    '1_',
    '_1',
    '1_1_1',
    '1_1.1',
    '1_2.1.1',
    '1_zzzzzzzzzzzz',
    '1_1 1',
    `1_${'1.'.repeat(100)}1`,
    '1_1_1_c',
    `1_1_1.1_c${uuidv7()}`,
    `1_1_1_x${uuidv7()}`,
    `zzzzzzzzzzz_1_1_c${uuidv7()}`,
    'é',
    '1_-1',
  ])('for the invalid event id %s', async (id) => {
    const client = await here.as(aUser()).follow('/orders/events', id);

    expect(client.response.statusCode).toBe(400);
    expect(client.response.headers['content-type']).toBe('application/problem+json');
  });

  it.each(['1_zzzzzzzz', `1_1_zzzzzzzz_c${uuidv7()}`])(
    'for the event id %s, which lies in the future and so belongs to another database',
    async (id) => {
      const client = await here.as(aUser()).follow('/orders/events', id);

      expect(client.response.statusCode).toBe(400);
      expect(await client.problem()).toMatchObject({ type: 'urn:twinbox:problem:event-unknown' });
    },
  );

  it('by a stopping replica with a 503', async () => {
    const replica = await world.startReplica();

    await replica.app.get(Feed).onApplicationShutdown();
    const refused = await replica.as(aUser()).get('/orders/events');
    await replica.stop();

    expectProblem(refused, 503, 'service-stopping');
    expect(refused.headers.get('retry-after')).toBe('1');
  });

  it("P10 for another customer's order, as if it did not exist", async () => {
    const orderId = await place(here.as(aUser()));
    const bob = here.as(aUser());

    for (const path of [`/orders/${orderId}/events`, `/orders/${uuidv7()}/events`, `/orders/${orderId}/timeline`])
      expectProblem(await bob.get(path), 404, 'order-not-found');
    expectProblem(await bob.get('/orders/17/events'), 400, 'validation');
    expectProblem(await bob.get('/orders/17/timeline'), 400, 'validation');
    expectProblem(await here.as('').get('/orders/events'), 401, 'caller-unknown');
  });
});
