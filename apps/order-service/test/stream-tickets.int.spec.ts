import { hash } from 'node:crypto';
import { get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { SecurityEvents } from '@twinbox/api-kit';
import { TokenIssuer } from '@twinbox/api-kit/testing';
import { until } from '@twinbox/messaging/testing';
import { type EventClient, expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { PostgresTicketStore } from '../src/adapters/postgres/live/ticket-store.js';
import { burnTransactions, type Client, type Replica, startWorld, type World } from './order-events.harness.js';

const BACKLOG = 5000;
const UNKNOWN = 'A'.repeat(43);

interface Mode {
  readonly authMode: 'dev' | 'jwt';
  readonly start: () => Promise<Record<string, string>>;
  readonly headersOf: (userId: string, role?: string) => Promise<Record<string, string>>;
  readonly stop: () => Promise<void>;
}

let issuer: TokenIssuer;
const MODES: readonly Mode[] = [
  {
    authMode: 'dev',
    start: () => Promise.resolve({ AUTH_MODE: 'dev' }),
    headersOf: (userId, role = 'customer') => Promise.resolve({ 'x-user-id': userId, 'x-roles': role }),
    stop: () => Promise.resolve(),
  },
  {
    authMode: 'jwt',
    async start() {
      issuer = await TokenIssuer.start();
      return { ...issuer.env, JWT_CLOCK_TOLERANCE: '0ms' };
    },
    headersOf: async (sub, role = 'customer') => ({
      authorization: `Bearer ${await issuer.token({ claims: { sub, roles: [role] } })}`,
    }),
    stop: () => issuer.stop(),
  },
];

describe.each(MODES)('a stream ticket with AUTH_MODE=$authMode', ({ authMode, start, headersOf, stop }) => {
  let world: World;
  let here: Replica;
  let there: Replica;
  /** Without any credentials. */
  let anyone: Client;
  beforeAll(async () => {
    world = await startWorld({ ...(await start()), STREAM_BACKLOG: String(BACKLOG) });
    [here, there] = await Promise.all([world.startReplica(), world.startReplica()]);
    anyone = there.with({});
  });
  afterEach(() => world.clear());
  afterAll(async () => {
    await world.stop();
    await stop();
  });

  const aUser = () => `customer-${uuidv7()}`;
  const as = async (userId: string, role?: string) => here.with(await headersOf(userId, role));

  /** Issues a ticket, and returns the path that it opens. */
  async function aTicket(userId: string, { role, orderId }: { role?: string; orderId?: string } = {}): Promise<string> {
    const { status, body } = await (await as(userId, role)).post('/orders/events/tickets', { orderId });
    expect(status).toBe(201);
    return String(body.url);
  }

  async function place(userId: string): Promise<string> {
    const { body } = await (await as(userId)).post('/orders', { items: [{ productId: 'tea', quantity: 1 }] });
    return String(body.id);
  }

  const begins = (client: EventClient) => until('the stream begins', () => client.lastEventId);
  const receives = (client: EventClient, orderId: string) =>
    until('the order comes', () => client.events.some(({ data }) => data.orderId === orderId));

  /** Expects an answer that only says this. */
  async function expectOnly(client: EventClient, event: string, code: string): Promise<void> {
    await until('the stream ends', () => client.ended);
    expect(client.response.statusCode).toBe(200);
    expect(client.response.headers['content-type']).toBe('text/event-stream');
    expect(client.events).toMatchObject([
      { event, retry: expect.any(Number), data: { type: `urn:twinbox:problem:${code}` } },
    ]);
  }

  it('P10 is issued to a caller, and stored only as its hash', async () => {
    const ada = aUser();
    const answer = await (await as(ada)).post('/orders/events/tickets');

    expect(answer).toMatchObject({
      status: 201,
      body: {
        ticket: expect.stringMatching(/^[\w-]{43}$/),
        url: `/orders/events?ticket=${answer.body.ticket}`,
        useBy: expect.stringMatching(/Z$/),
      },
    });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const rows = await world.database.sql('select * from orders.stream_tickets where user_id = $1', [ada]);
    expect(rows).toMatchObject([{ hash: hash('sha256', answer.body.ticket, 'buffer'), roles: ['customer'], uses: 0 }]);
    expect(JSON.stringify(rows)).not.toContain(answer.body.ticket);
    const lifetimeMs = Date.parse(answer.body.expiresAt) - Date.now();
    // A token lives for five minutes here.
    expect(lifetimeMs).toBeLessThanOrEqual(authMode === 'jwt' ? 300_000 : 8 * 3_600_000);
    expect(lifetimeMs).toBeGreaterThan(200_000);
  });

  it('opens the stream of its user at any replica, without credentials', async () => {
    const [ada, bob] = [aUser(), aUser()];
    const [adas, operators] = await Promise.all([aTicket(ada), aTicket('olga', { role: 'operator' })]);
    const customer = await anyone.follow(adas);
    const operator = await anyone.follow(operators);
    await Promise.all([begins(customer), begins(operator)]);

    const [own, other] = [await place(ada), await place(bob)];
    await Promise.all([receives(customer, own), receives(operator, own), receives(operator, other)]);

    expect(customer.events.every(({ data }) => data.orderId === own)).toBe(true);
  });

  it('opens the stream of one order', async () => {
    const ada = aUser();
    const orderId = await place(ada);
    const url = await aTicket(ada, { orderId: orderId.toUpperCase() });

    const client = await anyone.follow(url);

    await receives(client, orderId);
    expectProblem(await (await as(aUser())).post('/orders/events/tickets', { orderId }), 404, 'order-not-found');
    expectProblem(await anyone.post('/orders/events/tickets'), 401, 'caller-unknown');
  });

  it('P2 resumes its stream with Last-Event-ID, as often as the client reconnects', async () => {
    const ada = aUser();
    const url = await aTicket(ada);
    const first = await anyone.follow(url);
    await begins(first);
    first.leave();
    const missed = [await place(ada), await place(ada)];

    const second = await here.with({}).follow(url, first.lastEventId);
    for (const orderId of missed) await receives(second, orderId);
    second.leave();
    const third = await anyone.follow(url, second.lastEventId);
    const next = await place(ada);
    await receives(third, next);

    expect(third.events.some(({ data }) => missed.includes(data.orderId))).toBe(false);
  });

  it('P2 continues where the page was, by ?lastEventId, unless there is a header', async () => {
    const ada = aUser();
    const first = await anyone.follow(await aTicket(ada));
    await begins(first);
    const orderId = await place(ada);
    await receives(first, orderId);
    const [before, after] = [first.events[0]?.id ?? '', first.lastEventId ?? ''];
    const missed = await place(ada);

    const byQuery = await anyone.follow(`${await aTicket(ada)}&lastEventId=${before}`);
    const byHeader = await anyone.follow(`${await aTicket(ada)}&lastEventId=x`, after);
    const without = await (await as(ada)).follow(`/orders/events?lastEventId=${before}`);
    await Promise.all([byQuery, byHeader, without].map((client) => receives(client, missed)));
    const empty = await anyone.follow(`${await aTicket(ada)}&lastEventId=`);
    await begins(empty);

    expect(empty.events).toEqual([]);
  });

  it.each(['the same', 'another'])('P10 ends its first stream when it is used again at %s replica', async (which) => {
    const ada = aUser();
    const url = await aTicket(ada);
    const first = await here.with({}).follow(url);
    await begins(first);

    const events = reportedBy(here);
    const second = await (which === 'another' ? there : here).with({}).follow(url, first.lastEventId);
    await until('the first stream ends', () => first.ended);

    expect(first.ended).toBe('cleanly');
    expect(first.events).toMatchObject([{ event: 'expired', data: { type: 'urn:twinbox:problem:ticket-used-again' } }]);
    expect(events()).toEqual([
      {
        event: 'ticket-used-again',
        reason: 'The ticket was used again, which ended this stream.',
        route: '/orders/events',
        userId: ada,
      },
    ]);
    await receives(second, await place(ada));
    expect(second.ended).toBeUndefined();
  });

  it('P10 ends its first stream even if the notice of the second use is lost', async () => {
    const url = await aTicket(aUser());
    const first = await anyone.follow(url);
    await begins(first);

    await world.database.sql(`update orders.stream_tickets set uses = uses + 1 where hash = $1`, [hashIn(url)]);

    await until('the first stream ends', () => first.ended);
  });

  it.each([
    ['is unknown', 'is unknown, or was deleted after it had expired', () => `/orders/events?ticket=${UNKNOWN}`],
    [
      'was not used in time',
      'has expired',
      async () => {
        const url = await aTicket(aUser());
        await expire(url);
        return url;
      },
    ],
    [
      'was used before',
      'was used before',
      async () => {
        const url = await aTicket(aUser());
        await begins(await anyone.follow(url));
        return url;
      },
    ],
    [
      'is for the stream of one order',
      'is for another stream',
      async () => {
        const ada = aUser();
        const url = await aTicket(ada, { orderId: await place(ada) });
        return url.replace(/^\/orders\/.*\/events/, '/orders/events');
      },
    ],
    [
      'is for the stream of all orders',
      'is for another stream',
      async () => {
        const ada = aUser();
        const orderId = await place(ada);
        return (await aTicket(ada)).replace('/orders/events', `/orders/${orderId}/events`);
      },
    ],
  ])('P10 is refused with the event `expired` if it %s, and reported', async (_, reason, path) => {
    const url = await path();
    const events = reportedBy(there);

    await expectOnly(await anyone.follow(url), 'expired', 'ticket-expired');

    const route = url.replace(/\?.*/, '').replace(/[\da-f-]{36}/, ':orderId');
    expect(events()).toEqual([{ event: 'login-refused', reason: `The stream ticket ${reason}.`, route }]);
  });

  it('P10 no longer resumes once it has expired, and the page gets the id of its place back', async () => {
    const url = await aTicket(aUser());
    const first = await anyone.follow(url);
    await begins(first);
    await expire(url);

    const again = await anyone.follow(url, first.lastEventId);

    await expectOnly(again, 'expired', 'ticket-expired');
    expect(again.events[0]?.id).toBe(first.lastEventId);
  });

  it('P10 gives access to nothing but its stream', async () => {
    const ada = aUser();
    const orderId = await place(ada);
    const query = (await aTicket(ada)).replace(/.*\?/, '?');

    for (const path of ['/orders', `/orders/${orderId}`, `/orders/${orderId}/timeline`, '/products/tea'])
      expect((await anyone.get(path + query)).status).toBe(path.startsWith('/products') ? 400 : 401);
    for (const path of ['/orders', '/orders/events/tickets', `/orders/${orderId}/cancel`])
      expectProblem(await anyone.post(path + query, {}), 401, 'caller-unknown');
    expect((await fetch(`${here.url}/orders/events${query}`, { method: 'HEAD' })).status).toBe(401);
  });

  it.each([
    ['an unknown id', 'x'],
    ['an id of another database', '1_zzzzzzzz'],
  ])('P2 is told to load everything again for %s, and misses nothing from then on', async (_, lastEventId) => {
    const ada = aUser();
    const url = await aTicket(ada);

    const reset = await anyone.follow(url, lastEventId);
    await expectOnly(reset, 'reset', 'event-unknown');
    const orderId = await place(ada);
    const again = await anyone.follow(url, reset.lastEventId);

    await receives(again, orderId);
  });

  it('survives an outage of the database', async () => {
    const ada = aUser();
    const url = await aTicket(ada);
    const letIn = await world.cutOff();

    const away = await anyone.follow(url);
    await until('the stream ends', () => away.ended);
    await letIn();

    await expectOnly(away, 'unavailable', 'database-unavailable');
    await until('the service has recovered', async () => (await (await as(ada)).get('/orders')).status === 200);
    const client = await anyone.follow(url);
    await receives(client, await place(ada));
  });

  it('is not used up by an attempt for which the user has too many streams', async () => {
    const ada = aUser();
    const customer = there.with(await headersOf(ada));
    const clients = await Promise.all(Array.from({ length: 20 }, () => customer.follow('/orders/events')));
    const url = await aTicket(ada);

    await expectOnly(await anyone.follow(url), 'unavailable', 'too-many-streams');
    clients[0]?.leave();

    await until('there is room', async () => {
      const client = await anyone.follow(url);
      await until('it begins or ends', () => client.ended ?? client.lastEventId);
      return client.ended === undefined;
    });
  });

  it('P7 keeps no more than fifty tickets of a user, and none that have expired', async () => {
    const ada = aUser();
    const oldest = await aTicket(ada);
    for (let tickets = 0; tickets < 50; tickets++) await aTicket(ada);
    const kept = await world.database.sql('select hash from orders.stream_tickets where user_id = $1', [ada]);
    await expire();

    expect(await here.app.get(PostgresTicketStore).removeExpired()).toBe(false);

    expect(kept).toHaveLength(50);
    expect(kept).not.toContainEqual({ hash: hashIn(oldest) });
    expect(await world.database.sql('select from orders.stream_tickets')).toEqual([]);
  });

  describe('P7 what a user catches up at a time is limited:', () => {
    let ada: string;
    let orderId: string;
    let lastEventId: string;
    beforeEach(async () => {
      ada = aUser();
      orderId = await place(ada);
      const client = await (await as(ada)).follow('/orders/events');
      await begins(client);
      lastEventId = client.lastEventId ?? '';
      client.leave();
    });
    const misses = (steps: number) =>
      world.database.sql(
        `insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor, detail)
         select $1, $2, 'Tested', 'PLACED', version, now(), 'system', jsonb_build_object('reason', repeat('🫖', 500))
           from generate_series(1, $3::int) as version`,
        [orderId, ada, steps],
      );

    it.each([
      ['recently', 0],
      ['long ago', 11_000],
    ])('who left %s and missed too much must load everything again', async (_, transactions) => {
      await world.database.sql(burnTransactions(transactions));
      await misses(BACKLOG + 1);
      const url = await aTicket(ada);

      const refused = await here
        .with({ ...(await headersOf(ada)), 'last-event-id': lastEventId })
        .get('/orders/events');
      const reset = await anyone.follow(`${url}&lastEventId=${lastEventId}`);
      await expectOnly(reset, 'reset', 'backlog-too-long');
      const again = await anyone.follow(url, reset.lastEventId);
      await receives(again, await place(ada));

      expectProblem(refused, 409, 'backlog-too-long', { most: BACKLOG });
      expect(again.events.some(({ data }) => data.type === 'Tested')).toBe(false);
    });

    it('resumes that wait for the database leave connections for others', async () => {
      await world.database.sql(burnTransactions(11_000));
      await misses(1);
      const writer = await world.openWriter();
      await writer.sql('begin');
      await writer.sql('lock table orders.orders in access exclusive mode');
      const headers = { ...(await headersOf(ada)), 'last-event-id': lastEventId };
      let answered = false;
      const resumes = Promise.all(Array.from({ length: 19 }, () => here.with(headers).get('/orders/events'))).finally(
        () => (answered = true),
      );

      const other = (await as(aUser())).get('/products/tea');
      let mostCounts = 0;
      await until('the resumes are answered', async () => {
        const [row] = await world.database.sql<{ counts: number }>(
          `select count(*)::int as counts from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%as missed%'`,
        );
        mostCounts = Math.max(mostCounts, row?.counts ?? 0);
        return answered;
      });
      await writer.end();

      expect([1, 2, 3]).toContain(mostCounts);
      expect((await other).status).toBe(200);
      for (const answer of await resumes) expectProblem(answer, 503, 'try-again');
    });

    it('other streams wait until one has caught up', async () => {
      await misses(BACKLOG);
      const headers = { ...(await headersOf(ada)), 'last-event-id': lastEventId };
      const slow = get(`${here.url}/orders/events`, { agent: false, headers });
      const [response] = (await once(slow, 'response')) as [IncomingMessage];

      // On a busy machine, the database may take too long to count the steps.
      await until('another one is refused', async () => {
        const refused = await here.with(headers).get('/orders/events');
        if (refused.status === 503) return false;
        expectProblem(refused, 429, 'too-much-to-catch-up', { most: BACKLOG });
        expect(refused.headers.get('retry-after')).toBe('1');
        return true;
      });
      await until('one with a ticket is told', async () => {
        const told = await here.with({}).follow(`${await aTicket(ada)}&lastEventId=${lastEventId}`);
        await until('the stream ends', () => told.ended);
        return told.events[0]?.data.type === 'urn:twinbox:problem:too-much-to-catch-up';
      });
      response.destroy();
      await until('there is room', async () => {
        const client = await here.with(headers).follow('/orders/events');
        return client.response.statusCode === 200;
      });
    });
  });

  /** Returns a function that returns the security events of a replica since now. */
  function reportedBy(replica: Replica): () => object[] {
    const security = replica.app.get(SecurityEvents);
    security['log']();
    const events: object[] = [];
    security['logger'].warn = ({ event, reason, route, userId }: Record<string, string>) =>
      void events.push({ event, reason, route, userId });
    return () => {
      security['log']();
      return events;
    };
  }

  const hashIn = (url: string) => hash('sha256', url.replace(/.*=/, ''), 'buffer');
  /** Makes a ticket expire now, or all of them. */
  const expire = (url?: string) =>
    world.database.sql(
      `update orders.stream_tickets set valid_until = now() - interval '1 ms' where $1::bytea is null or hash = $1`,
      [url === undefined ? null : hashIn(url)],
    );
});
