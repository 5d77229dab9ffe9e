import { type Answer, expectProblem } from '@twinbox/test-support';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { paymentListStatement } from '../src/adapters/postgres/payment-request-list-sql.js';
import { type PaymentSort } from '../src/application/payment-request-list.js';
import { PAYMENT_STATUSES } from '../src/domain/payment-request.js';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
});
afterAll(() => service.stop());

interface Row {
  readonly id: string;
  readonly amount: number;
  readonly status: string;
  readonly created: number;
}

/** Requests of every status and several amounts, created one second apart. */
async function someRequests(
  customerId: string,
  count: number,
  began = Date.parse('2026-01-01T00:00:00Z'),
): Promise<Row[]> {
  const rows = Array.from({ length: count }, (_, n) => ({
    id: uuidv7({ msecs: began + n * 1000 }),
    orderId: uuidv7(),
    amount: 100 * (1 + ((n * 7) % 5)),
    status: PAYMENT_STATUSES[n % PAYMENT_STATUSES.length]!,
    created: began + n * 1000,
  }));
  await service.database.sql(
    `insert into payments.payment_requests
       (id, order_id, customer_id, amount, currency, gateway, status, version, expires_at, created_at, updated_at)
     select (r->>'id')::uuid, (r->>'orderId')::uuid, $2, (r->>'amount')::bigint, 'EUR', 'manual', r->>'status', 1, '2100-01-01',
            to_timestamp((r->>'created')::float8 / 1000), now()
       from json_array_elements($1) as r`,
    [JSON.stringify(rows), customerId],
  );
  return rows;
}

const ids = ({ body }: Answer): string[] => body.items.map(({ id }: { id: string }) => id);

/** Reads all pages of a list; `between` runs after each. */
async function readAll(
  get: (path: string) => Promise<Answer>,
  query: string,
  { limit = 3, between = async () => {} }: { limit?: number; between?: () => Promise<void> } = {},
): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const answer: Answer = await get(`/payment-requests?${query}&limit=${limit}${cursor && `&cursor=${cursor}`}`);
    expect(answer.status).toBe(200);
    expect(answer.body.items.length).toBeLessThanOrEqual(limit);
    found.push(...ids(answer));
    cursor = answer.body.nextCursor;
    await between();
  }
  return found;
}

const byCreation = (rows: readonly Row[]) => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(({ id }) => id);
const byAmount = (rows: readonly Row[]) =>
  rows.toSorted((a, b) => a.amount - b.amount || (a.id < b.id ? -1 : 1)).map(({ id }) => id);

const nothing = {
  statuses: undefined,
  orderId: undefined,
  customerId: undefined,
  own: undefined,
  amountMin: undefined,
  amountMax: undefined,
  createdFrom: undefined,
  createdTo: undefined,
};
/** The plan by which PostgreSQL reads a page. */
async function planOf(filter: object, sort: PaymentSort): Promise<string> {
  const listing = { filter: { ...nothing, ...filter }, sort, after: undefined, limit: 20 };
  const { text, values } = paymentListStatement(listing);
  const rows: { 'QUERY PLAN': string }[] = await service.app.get(DataSource).query(`explain ${text}`, [...values]);
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

describe('a list', () => {
  it.each([
    ['created', byCreation],
    ['-created', (rows: readonly Row[]) => byCreation(rows).toReversed()],
    ['amount', byAmount],
    ['-amount', (rows: readonly Row[]) => byAmount(rows).toReversed()],
  ])('sorted by %s contains every request once', async (sort, expected) => {
    const { userId, get } = service.aCustomer();
    const rows = await someRequests(userId, 20);

    for (const limit of [1, 3, 20, 100]) expect(await readAll(get, `sort=${sort}`, { limit })).toEqual(expected(rows));
  });

  it.each<[string, (row: Row, rows: readonly Row[]) => boolean]>([
    ['status=PENDING', ({ status }) => status === 'PENDING'],
    ['status=PENDING,REFUNDED', ({ status }) => status === 'PENDING' || status === 'REFUNDED'],
    ['status=FAILED&status=CANCELLED&status=FAILED', ({ status }) => status === 'FAILED' || status === 'CANCELLED'],
    ['amountMin=300', ({ amount }) => amount >= 300],
    ['amountMax=200', ({ amount }) => amount <= 200],
    [
      'amountMin=200&amountMax=300&status=SUCCEEDED',
      ({ amount, status }) => amount >= 200 && amount <= 300 && status === 'SUCCEEDED',
    ],
    ['amountMin=400&amountMax=100', () => false],
    ['createdFrom=2026-01-01T00:00:10Z', (row) => row.created >= Date.parse('2026-01-01T00:00:10Z')],
    ['createdTo=2026-01-01T00:00:10Z', (row) => row.created <= Date.parse('2026-01-01T00:00:10Z')],
    [
      'createdFrom=2026-01-01T01:00:05%2B01:00&createdTo=2026-01-01T00:00:09.999Z',
      (row) => row.created >= Date.parse('2026-01-01T00:00:05Z') && row.created <= Date.parse('2026-01-01T00:00:09Z'),
    ],
    ['createdFrom=2026-01-01&createdTo=2026-01-01', () => true],
    ['createdFrom=2026-01-02', () => false],
    ['createdTo=2025-12-31', () => false],
    ['createdTo=1969-01-01T00:00:00Z', () => false],
    ['createdFrom=9999-12-31T23:59:59Z', () => false],
  ])(
    'filtered by %s contains what matches, in every sort order, for a customer and an operator',
    async (query, meets) => {
      const { userId, get } = service.aCustomer();
      const rows = await someRequests(userId, 24);
      const expected = rows.filter((row) => meets(row, rows));

      for (const [sort, sorted] of [
        ['created', byCreation],
        ['amount', byAmount],
      ] as const) {
        expect(await readAll(get, `${query}&sort=${sort}`)).toEqual(sorted(expected));
        const operators = await readAll(
          service.anOperator().get,
          `${query}&sort=-${sort}&customerId=${encodeURIComponent(userId)}`,
        );
        expect(operators).toEqual(sorted(expected).toReversed());
      }
    },
  );

  it('of all customers, by several statuses, contains each request once', async () => {
    const began = Date.parse('2031-01-01T00:00:00Z');
    const rows = await someRequests('everybody', 30, began);
    const query = `status=PENDING,SUCCEEDED,REFUNDED&createdFrom=2031-01-01T00:00:00Z`;

    const expected = rows.filter(({ status }) => ['PENDING', 'SUCCEEDED', 'REFUNDED'].includes(status));
    expect(await readAll(service.anOperator().get, query)).toEqual(byCreation(expected).toReversed());
    expect(await readAll(service.anOperator().get, `${query}&sort=amount`)).toEqual(byAmount(expected));
  });

  it('P10 contains only their own for a customer, whatever the filter', async () => {
    const { userId, get } = service.aCustomer();
    const [own] = await someRequests(userId, 1);
    const others = await service.aRequest();

    expect(ids(await get(`/payment-requests?customerId=${encodeURIComponent(others.customerId)}`))).toEqual([]);
    expect(ids(await get(`/payment-requests?orderId=${others.orderId}`))).toEqual([]);
    expect(ids(await get(`/payment-requests?customerId=${encodeURIComponent(userId)}`))).toEqual([own!.id]);
  });

  it.each(['-created', 'created', '-amount', 'amount'])(
    'sorted by %s contains each request that existed at the beginning once, despite concurrent inserts and changes',
    async (sort) => {
      const { userId, get } = service.aCustomer();
      const rows = await someRequests(userId, 15);
      const began = Date.now();
      let came = 0;

      const found = await readAll(get, `sort=${sort}&status=${PAYMENT_STATUSES.join()}`, {
        limit: 2,
        between: async () => {
          await someRequests(userId, 1, began + ++came * 1000);
          await someRequests(userId, 1, Date.parse('2020-01-01T00:00:00Z') + came * 1000);
          await service.database.sql(
            `update payments.payment_requests set status = 'FAILED', version = version + 1
              where id = (select id from payments.payment_requests where customer_id = $1 order by random() limit 1)`,
            [userId],
          );
          if (came > 60) throw new Error('it never ends');
        },
      });

      expect(new Set(found).size).toBe(found.length);
      expect(rows.filter(({ id }) => !found.includes(id))).toEqual([]);
    },
  );

  it('continues only with a cursor of the same list', async () => {
    const { userId, get } = service.aCustomer();
    await someRequests(userId, 5);
    const { body } = await get('/payment-requests?limit=2&status=PENDING,FAILED&sort=amount');
    const at = (query: string, cursor: string) => get(`/payment-requests?limit=1&${query}&cursor=${cursor}`);
    const refused = { errors: [{ parameter: 'cursor', detail: expect.any(String) }] };

    expect((await at('status=FAILED&status=PENDING&sort=amount', body.nextCursor ?? '')).status).toBe(
      body.nextCursor === null ? 400 : 200,
    );
    const first = await get('/payment-requests?limit=2&sort=amount');
    for (const query of [
      'sort=-amount',
      'sort=amount&status=PENDING',
      'sort=amount&amountMin=1',
      'sort=amount&createdTo=2030-01-01T00:00:00Z',
    ])
      expectProblem(await at(query, first.body.nextCursor), 400, 'validation', refused);
    expectProblem(await at('sort=amount', `${first.body.nextCursor}x`), 400, 'validation', refused);
    expectProblem(await at('sort=amount', Buffer.from('["a",1]').toString('base64url')), 400, 'validation', refused);
    expect((await at('sort=amount', first.body.nextCursor)).status).toBe(200);
  });

  it('P7 is read from an index, however many requests there are', async () => {
    await service.database.sql(
      `insert into payments.payment_requests
         (id, order_id, customer_id, amount, currency, gateway, status, version, expires_at, created_at, updated_at)
       select gen_random_uuid(), gen_random_uuid(), 'customer ' || n % 1000, n % 997, 'EUR', 'manual',
              (array['PENDING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'REFUNDED'])[1 + (n % 5)], 1, '2100-01-01', now(), now()
         from generate_series(1, 50000) as n`,
    );
    await service.database.sql('analyze payments.payment_requests');
    expect(await planOf({}, 'created')).toContain('payment_requests_pkey');
    expect(await planOf({}, 'amount')).toContain('payment_requests_amount');
    expect(await planOf({ own: 'customer 7' }, 'created')).toContain('payment_requests_customer');
    expect(await planOf({ orderId: uuidv7() }, 'created')).toContain('payment_requests_order');
    expect(await planOf({ statuses: ['PENDING'] }, 'created')).toContain('payment_requests_status');
    expect(await planOf({ statuses: ['PENDING', 'FAILED'] }, 'created')).toContain('payment_requests_status');
    expect(await planOf({ amountMin: 5, amountMax: 6 }, 'amount')).toContain('payment_requests_amount');
    for (const filter of [
      {},
      { own: 'customer 7' },
      { statuses: ['PENDING'] },
      { statuses: ['PENDING', 'FAILED'] },
      { amountMin: 5 },
    ])
      for (const sort of ['created', 'amount'] as const) expect(await planOf(filter, sort)).not.toContain('Seq Scan');
  });

  it.each(['created', '-created'] as const)(
    'P7 sorted by %s is read from the status index when all requests of a status are at the other end',
    async (sort) => {
      await service.database.sql('truncate payments.payment_requests');
      await service.database.sql(
        `insert into payments.payment_requests
           (id, order_id, customer_id, amount, currency, gateway, status, version, expires_at, created_at, updated_at)
         select (lpad(to_hex(1767225600000 + n), 12, '0') || '70008' || lpad('', 15, '0'))::uuid, gen_random_uuid(),
                'customer ' || n % 1000, n % 997, 'EUR', 'manual',
                case when (n <= 42500) = $1 then 'FAILED' else 'SUCCEEDED' end, 1, '2100-01-01', now(), now()
           from generate_series(1, 50000) as n`,
        [sort === '-created'],
      );
      await service.database.sql('vacuum analyze payments.payment_requests');

      for (const filter of [
        { statuses: ['FAILED'] },
        { statuses: ['FAILED'], amountMin: 500 },
        { statuses: ['FAILED', 'CANCELLED'] },
        { statuses: ['FAILED'], createdFrom: new Date('2025-01-01'), createdTo: new Date('2027-01-01') },
      ]) {
        const plan = await planOf(filter, sort);
        expect(plan).toContain('payment_requests_status');
        expect(plan).not.toMatch(/payment_requests_pkey|Seq Scan/);
      }
    },
  );
});

it('the OpenAPI document describes every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});
