import { expectProblem, INVALID_LIMITS } from '@twinbox/test-support';
import { QUOTAS_FOR_LOAD } from '@twinbox/tools';
import { v7 as uuidv7 } from 'uuid';
import { aCart, aLine, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService(QUOTAS_FOR_LOAD);
  await service.database.sql('update orders.products set available = 1000000');
});
afterAll(() => service.stop());

type Client = Pick<ReturnType<OrderServiceHarness['aCustomer']>, 'get' | 'post' | 'send'>;

/** Places an order for each quantity of tea (450 each) and returns their ids in that order. */
async function place({ post }: Client, ...quantities: number[]): Promise<string[]> {
  const ids: string[] = [];
  for (const quantity of quantities) {
    const { body } = await post('/orders', aCart({ items: [aLine({ quantity })] }));
    ids.push(body.id);
  }
  return ids;
}

async function draft({ post }: Client, quantity = 1): Promise<string> {
  const { body } = await post('/orders', { ...aCart({ items: [aLine({ quantity })] }), draft: true });
  return body.id;
}

/** Returns the ids on each page of a list. Calls `between` before each further page. */
async function pages({ get }: Client, query: string, between = async (): Promise<unknown> => undefined) {
  const found: string[][] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const answer = await get(`/orders?${query}${cursor && `&cursor=${cursor}`}`);
    expect(answer).toMatchObject({ status: 200 });
    found.push(answer.body.items.map(({ id }: { id: string }) => id));
    cursor = answer.body.nextCursor;
    if (cursor !== null) await between();
  }
  return found;
}

async function list(client: Client, query = ''): Promise<string[]> {
  return (await pages(client, query)).flat();
}

describe("a customer's orders", () => {
  it('are empty at first', async () => {
    expect(await service.aCustomer().get('/orders')).toMatchObject({
      status: 200,
      body: { items: [], nextCursor: null },
    });
  });

  it("P10 are the customer's own, newest first, each the same as when read alone", async () => {
    const customer = service.aCustomer();
    const own = await place(customer, 1, 2, 3);
    await place(service.aCustomer(), 1, 2);

    const { body } = await customer.get('/orders');

    expect(body.items.map(({ id }: { id: string }) => id)).toEqual(own.toReversed());
    for (const item of body.items) expect(item).toEqual((await customer.get(`/orders/${item.id}`)).body);
    expect(body.nextCursor).toBeNull();
  });

  it('come in pages of 20 by default', async () => {
    const customer = service.aCustomer();
    await place(customer, ...Array.from({ length: 21 }, () => 1));

    const found = await pages(customer, '');

    expect(found.map((page) => page.length)).toEqual([20, 1]);
  });

  it.each([1, 2, 3, 5, 6, 100])('come in pages of %i, each order once, in every sort order', async (limit) => {
    const customer = service.aCustomer();
    // Two have the same total, and one has several products.
    const own = await place(customer, 3, 1, 3, 2);
    const { body } = await customer.post('/orders', { items: [aLine({ quantity: 1 }), aLine({ productId: 'mug' })] });
    own.push(body.id);

    const [created, newest, total, largest] = await Promise.all(
      ['created', '-created', 'total', '-total'].map((sort) => pages(customer, `limit=${limit}&sort=${sort}`)),
    );

    expect(created!.flat()).toEqual(own);
    expect(newest!.flat()).toEqual(own.toReversed());
    expect(total!.flat()).toEqual([own[1], own[3], own[0], own[2], own[4]]);
    expect(largest!.flat()).toEqual(total!.flat().toReversed());
    for (const found of [created, newest, total, largest]) expect(found).toHaveLength(Math.ceil(5 / limit));
  });
});

describe("operators' lists", () => {
  it('contain the orders of all customers or of one', async () => {
    const [ada, bob] = [service.aCustomer(), service.aCustomer()];
    const [[adas], [bobs]] = [await place(ada, 1), await place(bob, 1)];
    const operator = service.anOperator();

    expect((await list(operator, 'limit=100')).slice(0, 2)).toEqual([bobs, adas]);
    expect(await list(operator, `customerId=${encodeURIComponent(ada.userId)}`)).toEqual([adas]);
  });

  it('P10 are not for customers, who find no orders of others', async () => {
    const [ada, bob] = [service.aCustomer(), service.aCustomer()];
    const [adas] = await place(ada, 1);

    expect(await list(bob, `customerId=${encodeURIComponent(ada.userId)}`)).toEqual([]);
    expect(await list(ada, `customerId=${encodeURIComponent(ada.userId)}`)).toEqual([adas]);
  });
});

describe('filters', () => {
  const customer = () => aShop.customer;
  let aShop: {
    customer: ReturnType<OrderServiceHarness['aCustomer']>;
    draft: string;
    placed: string;
    pending: string;
    cancelled: string;
    completed: string;
    mug: string;
  };
  beforeAll(async () => {
    const ada = service.aCustomer();
    const [placed = '', pending = '', cancelled = '', completed = ''] = await place(ada, 1, 2, 3, 4);
    const request = (orderId: string) => ({ orderId, paymentRequestId: uuidv7() });
    await service.receives({ type: 'PaymentRequested', data: request(pending) });
    await ada.post(`/orders/${cancelled}/cancel`, { reason: 'no more' });
    await service.receives({ type: 'PaymentSucceeded', data: request(completed) });
    const { body } = await ada.post('/orders', aCart({ items: [aLine({ productId: 'mug', quantity: 1 }), aLine()] }));
    aShop = { customer: ada, draft: await draft(ada, 9), placed, pending, cancelled, completed, mug: body.id };
  });

  it.each<[string, () => string[]]>([
    ['status=CANCELLED', () => [aShop.cancelled]],
    ['status=PLACED,COMPLETED', () => [aShop.mug, aShop.completed, aShop.placed]],
    ['status=PLACED&status=COMPLETED', () => [aShop.mug, aShop.completed, aShop.placed]],
    ['status=DRAFT', () => [aShop.draft]],
    ['status=FINISHED', () => []],
    ['productId=mug', () => [aShop.mug]],
    ['productId=mug&status=CANCELLED', () => []],
    ['productId=mug&status=PLACED,CANCELLED', () => [aShop.mug]],
    ['productId=nothing', () => []],
    ['totalMin=900&totalMax=1350', () => [aShop.cancelled, aShop.pending]],
    ['totalMin=901&totalMax=1349', () => []],
    ['totalMin=901&totalMax=899', () => []],
    // The total of a draft is not final.
    ['totalMin=4050', () => []],
    ['totalMax=450', () => [aShop.placed]],
    ['sort=total', () => [aShop.placed, aShop.pending, aShop.cancelled, aShop.completed, aShop.mug]],
    ['sort=-total&status=DRAFT,PLACED', () => [aShop.mug, aShop.placed]],
    ['sort=total&productId=tea&totalMin=500&status=COMPLETED,CANCELLED', () => [aShop.cancelled, aShop.completed]],
  ])('%s', async (query, expected) => {
    const ofOne = await list(customer(), query);
    // Without a customer the statement is a different one.
    const ofAll = await list(service.anOperator(), `${query}&limit=100`);

    expect(ofOne).toEqual(expected());
    const own = Object.values(aShop);
    expect(ofAll.filter((id) => own.includes(id))).toEqual(expected());
  });

  it('by creation accept a time or a whole day, inclusive', async () => {
    const { body } = await customer().get(`/orders/${aShop.pending}`);
    const at = body.createdAt as string;
    const later = new Date(Date.parse(at) + 1).toISOString();
    const day = at.slice(0, 10);

    expect(await list(customer(), `createdFrom=${at}&createdTo=${at}`)).toEqual([aShop.pending]);
    expect(await list(customer(), `createdFrom=${later}&createdTo=${at}`)).toEqual([]);
    expect(await list(customer(), `createdFrom=${later}&sort=created`)).not.toContain(aShop.pending);
    expect(await list(customer(), `createdFrom=${at}&sort=-total&limit=1`)).not.toContain(aShop.placed);
    expect(await list(customer(), `createdFrom=${day}&createdTo=${day}&status=COMPLETED`)).toEqual([aShop.completed]);
    expect(
      await list(customer(), `createdFrom=${encodeURIComponent(at.replace('Z', '+00:00'))}&limit=100`),
    ).toHaveLength((await list(customer(), 'limit=100')).indexOf(aShop.pending) + 1);
    expect(await list(customer(), 'createdTo=1960-01-01')).toEqual([]);
    expect(await list(customer(), 'createdFrom=9999-12-31')).toEqual([]);
  });

  it('by lateness find only orders that have waited too long', async () => {
    const ada = service.aCustomer();
    const [early, late, pending, overdue] = await place(ada, 1, 2, 3, 4);
    for (const orderId of [pending!, overdue!])
      await service.receives({ type: 'PaymentRequested', data: { orderId, paymentRequestId: uuidv7() } });
    const due = (id: string, ago: string) =>
      service.database.sql(`update orders.orders set due_at = now() - $2::interval where id = $1`, [id, ago]);
    await due(late!, '61 s');
    await due(pending!, '59 s');
    await due(overdue!, '61 s');

    for (const sort of ['created', 'total']) {
      expect(await list(ada, `late=true&sort=${sort}`)).toEqual([late, overdue]);
      expect(await list(ada, `late=false&sort=${sort}`)).toEqual([early, pending]);
      expect(await list(ada, `late=true&status=PLACED&sort=${sort}`)).toEqual([late]);
      expect(await list(ada, `late=true&status=COMPLETED&sort=${sort}`)).toEqual([]);
    }
    const own = new Set([early, late, pending, overdue]);
    const ofAll = await list(service.anOperator(), 'late=true&sort=created&limit=100');
    expect(ofAll.filter((id) => own.has(id))).toEqual([late, overdue]);
    const { body } = await ada.get('/orders?late=true');
    expect(body.items.map((order: { late: boolean }) => order.late)).toEqual([true, true]);
  });
});

describe('while orders are placed, changed and cancelled between the pages', () => {
  /** Changes orders at random, depending on the seed. */
  function randomChanges(ada: Client, existing: string[], seed: number) {
    let state = seed;
    const random = (below: number) => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    const drafts: string[] = [];
    let rounds = 0;
    return async () => {
      // Stops, or a list to which orders are appended would never end.
      if (rounds++ >= 10) return;
      for (let n = 0; n < 3; n++) {
        const one = existing[random(existing.length)] ?? '';
        const happenings = [
          () => place(ada, 1 + random(20)),
          async () => drafts.push(await draft(ada, 1 + random(20))),
          () => ada.post(`/orders/${drafts.pop() ?? one}/place`, {}),
          () => ada.post(`/orders/${one}/cancel`, { reason: 'changed my mind' }),
          () => service.receives({ type: 'PaymentRequested', data: { orderId: one, paymentRequestId: uuidv7() } }),
          () => service.receives({ type: 'PaymentSucceeded', data: { orderId: one, paymentRequestId: uuidv7() } }),
          () => ada.post(`/orders/${drafts.at(-1) ?? one}/items`, { productId: 'mug', quantity: 1 }),
        ];
        await happenings[random(happenings.length)]?.();
      }
    };
  }

  it.each([
    ['sort=created', 11],
    ['sort=-created', 12],
    ['sort=total', 13],
    ['sort=-total', 14],
    ['sort=-created&productId=tea', 15],
    ['sort=created&totalMin=450', 16],
    ['sort=-total&totalMax=100000&status=PLACED,PAYMENT_PENDING,COMPLETED,FINISHED,CANCELLED', 17],
    ['sort=-created&status=DRAFT,PLACED,PAYMENT_PENDING,COMPLETED,FINISHED,CANCELLED', 18],
  ])('a list by %s contains each order that existed at the beginning once', async (query, seed) => {
    for (const client of [service.aCustomer(), { ...service.anOperator(), isOperator: true }]) {
      const ada = 'isOperator' in client ? service.aCustomer() : client;
      const existing = await place(ada, 5, 3, 9, 3, 3, 1, 12, 7);
      const limit =
        'isOperator' in client ? `&limit=3&createdFrom=${new Date(Date.now() - 60_000).toISOString()}` : '&limit=2';

      const found = (await pages(client, query + limit, randomChanges(ada, existing, seed))).flat();

      expect(found.filter((id) => existing.includes(id)).toSorted()).toEqual(existing.toSorted());
      expect(new Set(found).size).toBe(found.length);
    }
  });
});

describe('a cursor', () => {
  it.each([
    ['another sort', 'sort=created'],
    ['an additional filter', 'sort=-total&status=PLACED'],
    ['the default sort', ''],
  ])('is rejected with %s', async (_, query) => {
    const customer = service.aCustomer();
    await place(customer, 1, 2);
    const { body } = await customer.get('/orders?sort=-total&limit=1');

    const answer = await customer.get(`/orders?${query}&limit=1&cursor=${body.nextCursor}`);

    expectProblem(answer, 400, 'validation', {
      errors: [{ parameter: 'cursor', detail: 'belongs to a list with a different sort or different filters' }],
    });
  });

  it('continues an equivalent list, even with another limit', async () => {
    const customer = service.aCustomer();
    const [one, two, three] = await place(customer, 1, 2, 3);
    const { body } = await customer.get('/orders?status=PLACED,CANCELLED&limit=1');

    const rest = await customer.get(
      `/orders?limit=50&status=CANCELLED&status=PLACED&sort=-created&cursor=${body.nextCursor}`,
    );

    expect(body.items[0].id).toBe(three);
    expect(rest.body.items.map(({ id }: { id: string }) => id)).toEqual([two, one]);
  });

  it('P10 of another customer is rejected', async () => {
    const [ada, bob] = [service.aCustomer(), service.aCustomer()];
    await place(ada, 1, 2);
    const { body } = await ada.get('/orders?limit=1');

    expectProblem(await bob.get(`/orders?limit=1&cursor=${body.nextCursor}`), 400, 'validation');
  });
});

describe('a list is rejected for', () => {
  it.each([
    ['status=', 'status'],
    ['status=placed', 'status'],
    ['status=PLACED,', 'status'],
    ['status=PLACED,PAID', 'status'],
    [`status=${'PLACED,'.repeat(30)}PLACED`, 'status'],
    ['sort=id', 'sort'],
    ['sort=created&sort=total', 'sort'],
    ['totalMin=-1', 'totalMin'],
    ['totalMin=1.5', 'totalMin'],
    ['totalMin=', 'totalMin'],
    ['totalMin=1e3', 'totalMin'],
    ['totalMax=99999999999999999999', 'totalMax'],
    ['totalMax=1&totalMax=2', 'totalMax'],
    ['createdFrom=yesterday', 'createdFrom'],
    ['createdFrom=2026-02-30', 'createdFrom'],
    ['createdFrom=2026-11-21T10:00:00', 'createdFrom'],
    ['createdFrom=2026-11-21T09:30Z', 'createdFrom'],
    ['createdFrom=2026-11-21T10:00:00+02:00', 'createdFrom'],
    ['createdFrom=2026-W47', 'createdFrom'],
    ['createdTo=2026-11-21T25:00:00Z', 'createdTo'],
    ['createdTo=2026-11-21T24:00:00Z', 'createdTo'],
    ['createdTo=2026-02-30T00:00:00Z', 'createdTo'],
    ['createdTo=2025-02-29', 'createdTo'],
    ['createdTo=0000-01-01', 'createdTo'],
    ['createdTo=', 'createdTo'],
    ['late=yes', 'late'],
    ['late=', 'late'],
    ['late=true&late=true', 'late'],
    ['productId=', 'productId'],
    [`productId=${'x'.repeat(65)}`, 'productId'],
    ['productId=%00', 'productId'],
    ['productId=Mug', 'productId'],
    ['customerId=', 'customerId'],
    ['cursor=', 'cursor'],
    ['cursor=17', 'cursor'],
    ['cursor=eyJ4IjoxfQ', 'cursor'],
    [`cursor=${uuidv7()}`, 'cursor'],
    [`cursor=${'x'.repeat(2000)}`, 'cursor'],
    ['cursor=a&cursor=b', 'cursor'],
    ...INVALID_LIMITS,
    ['offset=1', 'offset'],
    ['constructor=1', 'constructor'],
  ])('%s', async (query, parameter) => {
    const answer = await service.aCustomer().get(`/orders?${query}`);

    expectProblem(answer, 400, 'validation', {
      errors: expect.arrayContaining([{ parameter, detail: expect.any(String) }]),
    });
  });
});

describe('P10 a caller', () => {
  it.each(['/orders', '/orders?limit=0'])('that is not identified learns nothing about %s', async (path) => {
    const nobody = await service.caller({}).get(path);
    const king = await service.aCustomer('ada', { 'x-roles': 'king' }).get(path);

    expectProblem(nobody, 401, 'caller-unknown');
    expectProblem(king, 401, 'caller-unknown');
  });
});

it('the OpenAPI document describes every response of these tests', () => {
  expect(service.undocumented()).toEqual([]);
});
