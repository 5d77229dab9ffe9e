import { randomUUID } from 'node:crypto';
import { type Answer, expectProblem, INVALID_LIMITS } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
});
afterAll(() => service.stop());

const ids = ({ body }: Answer): string[] => body.items.map(({ id }: { id: string }) => id);

describe('the list of payment requests', () => {
  it('P10 shows a customer only their own, newest first', async () => {
    const { userId, get } = service.aCustomer();
    const older = await service.aRequest({ customerId: userId });
    const newer = await service.aRequest({ customerId: userId });
    await service.aRequest();

    const answer = await get('/payment-requests');

    expect(answer.status).toBe(200);
    expect(ids(answer)).toEqual([newer.id, older.id]);
    expect(answer.body.items[0]).toEqual({
      id: newer.id,
      orderId: newer.orderId,
      customerId: userId,
      amount: 900,
      currency: 'EUR',
      gateway: null,
      status: 'PENDING',
      reason: null,
      decidedBy: null,
      version: 1,
      expiresAt: expect.any(String),
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
  });

  it('shows an operator all payment requests', async () => {
    const [one, another] = [await service.aRequest(), await service.aRequest()];

    const answer = await service.anOperator().get('/payment-requests?limit=2');

    expect(ids(answer)).toEqual([another.id, one.id]);
  });

  it('shows an admin what an operator sees', async () => {
    const { id } = await service.aRequest();
    const admin = service.caller({ 'x-user-id': 'an admin', 'x-roles': 'admin' });

    expect(ids(await admin.get('/payment-requests'))).toContain(id);
  });

  it('filters by order', async () => {
    const { userId, get } = service.aCustomer();
    const request = await service.aRequest({ customerId: userId });
    await service.aRequest({ customerId: userId });
    const others = await service.aRequest();

    expect(ids(await get(`/payment-requests?orderId=${request.orderId}`))).toEqual([request.id]);
    expect(ids(await get(`/payment-requests?orderId=${others.orderId}`))).toEqual([]);
    expect(ids(await get(`/payment-requests?orderId=${uuidv7()}`))).toEqual([]);
  });

  it('filters by status', async () => {
    const { userId, get } = service.aCustomer();
    const pending = await service.aRequest({ customerId: userId });
    const paid = await service.aRequest({ customerId: userId });
    const failed = await service.aRequest({ customerId: userId });
    await service.anOperator().post(`/payment-requests/${paid.id}/succeed`);
    await service.anOperator().post(`/payment-requests/${failed.id}/fail`, { reason: 'declined' });

    expect(ids(await get('/payment-requests?status=PENDING'))).toEqual([pending.id]);
    expect(ids(await get('/payment-requests?status=SUCCEEDED'))).toEqual([paid.id]);
    expect(ids(await get('/payment-requests?status=FAILED'))).toEqual([failed.id]);
    expect(ids(await get(`/payment-requests?status=FAILED&orderId=${paid.orderId}`))).toEqual([]);
  });

  it.each([1, 2, 5, 100])('lists each request once in pages of %i', async (limit) => {
    const { userId, get } = service.aCustomer();
    const own: string[] = [];
    for (let n = 0; n < 5; n++) own.unshift((await service.aRequest({ customerId: userId })).id);

    const found: string[] = [];
    let pages = 0;
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const answer: Answer = await get(
        `/payment-requests?status=PENDING&limit=${limit}${cursor && `&cursor=${cursor}`}`,
      );
      found.push(...ids(answer));
      cursor = answer.body.nextCursor;
    }

    expect(found).toEqual(own);
    expect(pages).toBe(Math.ceil(5 / limit));
  });

  it.each([
    ...INVALID_LIMITS,
    ['cursor=17', 'cursor'],
    [`cursor=${uuidv7()}`, 'cursor'],
    ['orderId=17', 'orderId'],
    ['orderId=', 'orderId'],
    [`orderId=${randomUUID()}`, 'orderId'],
    ['status=pending', 'status'],
    ['status=PAID', 'status'],
    ['status=', 'status'],
    ['status=PENDING,', 'status'],
    ['status=PENDING,PAID', 'status'],
    ['status=PENDING&status=PAID', 'status'],
    [`status=${Array.from({ length: 20 }, () => 'PENDING').join()}`, 'status'],
    ['customerId=', 'customerId'],
    ['customerId=a&customerId=b', 'customerId'],
    [`customerId=${'x'.repeat(256)}`, 'customerId'],
    ['amountMin=', 'amountMin'],
    ['amountMin=-1', 'amountMin'],
    ['amountMin=1.5', 'amountMin'],
    ['amountMin=0x10', 'amountMin'],
    ['amountMax=9007199254740992', 'amountMax'],
    ['amountMax=1&amountMax=2', 'amountMax'],
    ['createdFrom=', 'createdFrom'],
    ['createdFrom=yesterday', 'createdFrom'],
    ['createdFrom=2026-02-30', 'createdFrom'],
    ['createdFrom=2026-02-30T00:00:00Z', 'createdFrom'],
    ['createdFrom=2026-W47', 'createdFrom'],
    ['createdFrom=2026-11-21T24:00:00Z', 'createdFrom'],
    ['createdFrom=2026-11-21T09:30:00', 'createdFrom'],
    ['createdTo=2026-13-21T09:30:00Z', 'createdTo'],
    ['createdTo=1795253400', 'createdTo'],
    ['sort=', 'sort'],
    ['sort=status', 'sort'],
    ['sort=created&sort=amount', 'sort'],
    ['toString=1', 'toString'],
  ])('is rejected for %s', async (query, parameter) => {
    const answer = await service.anOperator().get(`/payment-requests?${query}`);

    expectProblem(answer, 400, 'validation', {
      errors: expect.arrayContaining([{ parameter, detail: expect.any(String) }]),
    });
  });
});

describe('a payment request', () => {
  it('is shown to its customer and to an operator', async () => {
    const { userId, get } = service.aCustomer();
    const { id, orderId } = await service.aRequest({ customerId: userId });

    const own = await get(`/payment-requests/${id}`);
    const operators = await service.anOperator().get(`/payment-requests/${id}`);

    expect(own).toMatchObject({ status: 200, body: { id, orderId, customerId: userId, status: 'PENDING' } });
    expect(operators).toMatchObject({ status: 200, body: { ...own.body, gateway: 'manual' } });
  });

  it('P10 of another customer is reported as not found', async () => {
    const { id } = await service.aRequest();
    const nobodys = uuidv7();
    const { get } = service.aCustomer();

    const others = await get(`/payment-requests/${id}`);
    const none = await get(`/payment-requests/${nobodys}`);

    expectProblem(others, 404, 'payment-request-not-found', { paymentRequestId: id });
    expectProblem(none, 404, 'payment-request-not-found', { paymentRequestId: nobodys });
    const ownFields = { instance: '', paymentRequestId: '' };
    expect({ ...none.body, ...ownFields }).toEqual({ ...others.body, ...ownFields });
    expect([...none.headers.keys()]).toEqual([...others.headers.keys()]);
  });

  it('shows the exact amount of the order', async () => {
    const { id } = await service.aRequest({ total: Number.MAX_SAFE_INTEGER });

    expect((await service.anOperator().get(`/payment-requests/${id}`)).body.amount).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe('marking a payment succeeded', () => {
  it('P1 stores the result and its message', async () => {
    const request = await service.aRequest();

    const answer = await service.anOperator('olga').post(`/payment-requests/${request.id}/succeed`);

    expect(answer).toMatchObject({
      status: 200,
      body: { id: request.id, status: 'SUCCEEDED', reason: null, decidedBy: 'olga', version: 2 },
    });
    const { request: row, messages } = await service.stored(request);
    expect(row).toMatchObject({ status: 'SUCCEEDED', reason: null, decided_by: 'olga', version: 2 });
    expect(messages).toEqual([
      expect.objectContaining({
        aggregatetype: 'payment',
        aggregateid: request.orderId,
        type: 'PaymentSucceeded',
        sequence: '2',
        payload: JSON.stringify({ orderId: request.orderId, paymentRequestId: request.id, actor: 'operator:olga' }),
      }),
    ]);
    expect((await service.anOperator().get(`/payment-requests/${request.id}`)).body).toEqual(answer.body);
  });

  it('treats an empty body as absent', async () => {
    const { id } = await service.aRequest();

    expect((await service.anOperator().post(`/payment-requests/${id}/succeed`, {})).status).toBe(200);
  });

  it.each([
    ['a reason, as if it had failed', { reason: 'declined' }],
    ['a list', []],
    ['null', 'null'],
    ['a string', '"paid"'],
  ])('rejects a body: %s', async (_, body) => {
    const request = await service.aRequest();

    const answer = await service.anOperator().post(`/payment-requests/${request.id}/succeed`, body);

    expectProblem(answer, 400, 'validation', { errors: [{ pointer: '#', detail: expect.any(String) }] });
    expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING' }, messages: [] });
  });
});

describe('marking a payment failed', () => {
  it('P1 stores the result, its reason and its message', async () => {
    const request = await service.aRequest();

    const answer = await service
      .anOperator('olga')
      .post(`/payment-requests/${request.id}/fail`, { reason: 'card declined' });

    expect(answer).toMatchObject({
      status: 200,
      body: { id: request.id, status: 'FAILED', reason: 'card declined', decidedBy: 'olga', version: 2 },
    });
    const { request: row, messages } = await service.stored(request);
    expect(row).toMatchObject({ status: 'FAILED', reason: 'card declined', decided_by: 'olga' });
    expect(messages).toEqual([
      expect.objectContaining({
        aggregateid: request.orderId,
        type: 'PaymentFailed',
        payload: JSON.stringify({
          orderId: request.orderId,
          paymentRequestId: request.id,
          reason: 'card declined',
          actor: 'operator:olga',
        }),
      }),
    ]);
    const cause = 'POST /payment-requests/:paymentRequestId/fail';
    expect((await service.steps(request)).at(-1)).toMatchObject({ type: 'PaymentFailed', cause });
  });

  it.each(['x', 'x'.repeat(400), '😀'.repeat(400), `it's "odd" \\ \n`])('accepts the reason %j', async (reason) => {
    const request = await service.aRequest();

    const answer = await service.anOperator().post(`/payment-requests/${request.id}/fail`, { reason });

    expect(answer).toMatchObject({ status: 200, body: { reason } });
    expect((await service.stored(request)).request).toMatchObject({ reason });
  });

  it.each<[string, unknown, string]>([
    ['no body', undefined, '#/reason'],
    ['no reason', {}, '#/reason'],
    ['a reason of null', { reason: null }, '#/reason'],
    ['an empty reason', { reason: '' }, '#/reason'],
    ['a blank reason', { reason: ' \t\n' }, '#/reason'],
    ['a reason that is a number', { reason: 7 }, '#/reason'],
    ['a reason that is a list', { reason: ['declined'] }, '#/reason'],
    ['a reason of 401 letters', { reason: 'x'.repeat(401) }, '#/reason'],
    ['a reason longer than its column', { reason: '❤️'.repeat(251) }, '#/reason'],
    ['U+0000 in the reason', { reason: 'a\0b' }, '#/reason'],
    ['an unknown field', { reason: 'declined', status: 'SUCCEEDED' }, '#/status'],
    ['a list for a body', [{ reason: 'declined' }], '#'],
    ['null for a body', 'null', '#'],
  ])('rejects %s', async (_, body, pointer) => {
    const request = await service.aRequest();

    const answer = await service.anOperator().post(`/payment-requests/${request.id}/fail`, body);

    expectProblem(answer, 400, 'validation', {
      errors: expect.arrayContaining([{ pointer, detail: expect.stringMatching(/\S/) }]),
    });
    expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING' }, messages: [] });
  });
});

/** Both results: how an operator sets them, and their effect. */
const results = [
  { action: 'succeed', body: undefined, status: 'SUCCEEDED', event: 'PaymentSucceeded', opposite: 'fail' },
  { action: 'fail', body: { reason: 'declined' }, status: 'FAILED', event: 'PaymentFailed', opposite: 'succeed' },
] as const;
const bodyOf = (action: string) => results.find((result) => result.action === action)?.body;

describe.each(results)('a result: $action', ({ action, body, status, event, opposite }) => {
  const at = (id: string) => `/payment-requests/${id}/${action}`;

  it('sent twice gets the same answer and publishes one message', async () => {
    const request = await service.aRequest();

    const first = await service.anOperator('olga').post(at(request.id), body);
    const second = await service.anOperator('otto').post(at(request.id), body && { reason: 'another reason' });

    expect(first.status).toBe(200);
    expect(second).toMatchObject({ status: 200, body: first.body });
    expect(await service.stored(request)).toMatchObject({
      request: { status, decided_by: 'olga', version: 2 },
      messages: [{ type: event }],
    });
  });

  it('sent by ten operators at once publishes one message', async () => {
    const request = await service.aRequest();

    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => service.anOperator(`ops ${n}`).post(at(request.id), body)),
    );

    expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 200));
    expect(new Set(answers.map((answer) => answer.body.decidedBy)).size).toBe(1);
    expect((await service.stored(request)).messages).toMatchObject([{ type: event }]);
  });

  it('that contradicts the first is rejected and changes nothing', async () => {
    const request = await service.aRequest();
    await service.anOperator().post(at(request.id), body);
    const before = await service.stored(request);

    const answer = await service
      .anOperator('otto')
      .post(`/payment-requests/${request.id}/${opposite}`, bodyOf(opposite));

    expectProblem(answer, 409, 'payment-already-decided', {
      paymentRequestId: request.id,
      actual: status,
      detail: expect.stringContaining(status),
    });
    expect(await service.stored(request)).toEqual(before);
  });

  it('P10 cannot be set by a customer, even for their own order', async () => {
    const request = await service.aRequest({ customerId: 'ada' });

    const answer = await service.aCustomer('ada').post(at(request.id), body);

    expectProblem(answer, 403, 'role-required', { roles: ['operator'] });
    expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING' }, messages: [] });
  });

  it('P10 does not reveal to callers without the role which requests exist', async () => {
    const { post } = service.aCustomer();

    expectProblem(await post(at(uuidv7()), body), 403, 'role-required');
    expectProblem(await post(at('17'), body), 403, 'role-required');
  });

  it.each<[string, Record<string, string>]>([
    ['nobody', {}],
    ['a role without a name', { 'x-roles': 'operator' }],
    ['an unknown role', { 'x-user-id': 'ada', 'x-roles': 'operator,king' }],
  ])('P10 is not accepted from %s', async (_, headers) => {
    const request = await service.aRequest();

    const answer = await service.caller(headers).post(at(request.id), body);

    expectProblem(answer, 401, 'caller-unknown');
    expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING' }, messages: [] });
  });

  it('is rejected for a request that does not exist', async () => {
    const paymentRequestId = uuidv7();

    const answer = await service.anOperator().post(at(paymentRequestId), body);

    expectProblem(answer, 404, 'payment-request-not-found', { paymentRequestId });
  });

  it.each(['17', randomUUID(), `${uuidv7()}0`, '%00', 'x'.repeat(5000)])('is rejected for the id %s', async (id) => {
    const answer = await service.anOperator().post(at(id), body);

    expectProblem(answer, 400, 'validation', {
      errors: [{ parameter: 'paymentRequestId', detail: expect.any(String) }],
    });
  });

  it('is rejected when its body cannot be read', async () => {
    const request = await service.aRequest();

    const malformed = await service.anOperator().post(at(request.id), '{"reason":');
    const form = await service
      .anOperator('ops', { 'content-type': 'application/x-www-form-urlencoded' })
      .post(at(request.id), 'reason=declined');
    const large = await service.anOperator().post(at(request.id), { reason: 'x'.repeat(200_000) });

    expectProblem(malformed, 400, 'malformed-body');
    expectProblem(form, 415, 'unsupported-media-type');
    expectProblem(large, 413, 'payload-too-large');
    expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING' }, messages: [] });
  });

  it('P1 leaves no trace when the outbox cannot be written', async () => {
    const request = await service.aRequest();

    const answer = await service.withoutOutbox(() => service.anOperator().post(at(request.id), body));

    expectProblem(answer, 500, 'internal-error');
    expect(JSON.stringify(answer.body)).not.toMatch(/permission|denied|outbox|insert|42501/i);
    expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING' }, messages: [] });
    expect((await service.anOperator().post(at(request.id), body)).status).toBe(200);
  });
});

it('when two operators send opposite results, one wins and one message is published', async () => {
  const requests = await Promise.all(Array.from({ length: 30 }, () => service.aRequest()));

  const races = await Promise.all(
    requests.map(async (request, n) => {
      // They take turns at being first.
      const contestants = n % 2 === 0 ? results : results.toReversed();
      const answers = await Promise.all(
        contestants.map(({ action, body }) =>
          service.anOperator(action).post(`/payment-requests/${request.id}/${action}`, body),
        ),
      );
      return { contestants, answers, stored: await service.stored(request) };
    }),
  );

  for (const { contestants, answers, stored } of races) {
    const won = answers.findIndex((answer) => answer.status === 200);
    const winner = contestants[won]!;
    expect(answers[won]!.body).toMatchObject({ status: winner.status, decidedBy: winner.action });
    expectProblem(answers[1 - won]!, 409, 'payment-already-decided', { actual: winner.status });
    expect(stored).toMatchObject({
      request: { status: winner.status, decided_by: winner.action, version: 2 },
      messages: [{ type: winner.event }],
    });
  }
  expect(races).toHaveLength(30);
});

it.each(['/payment-requests', `/payment-requests/${uuidv7()}`, '/payment-requests/17'])(
  'P10 an unidentified caller learns nothing about %s',
  async (path) => {
    const answer = await service.caller({}).get(path);

    expectProblem(answer, 401, 'caller-unknown');
  },
);

it.each(['17', randomUUID(), '%00'])('a payment request is not searched for the invalid id %s', async (id) => {
  const answer = await service.anOperator().get(`/payment-requests/${id}`);

  expectProblem(answer, 400, 'validation', { errors: [{ parameter: 'paymentRequestId', detail: expect.any(String) }] });
});

it.each(['gateway', 'provider', 'system', 'operator:gateway', `operator:${'x'.repeat(246)}`])(
  'an operator named %s is distinguished from a system actor',
  async (operator) => {
    const request = await service.aRequest();

    const { status, body } = await service.anOperator(operator).post(`/payment-requests/${request.id}/succeed`);

    expect([status, body.decidedBy]).toEqual([200, `operator:${operator}`]);
  },
);

it('an admin acts as an operator does, and history names the admin', async () => {
  const request = await service.aRequest({ customerId: 'ada' });
  const admin = service.caller({ 'x-user-id': 'root', 'x-roles': 'admin' });

  const { body } = await admin.post(`/payment-requests/${request.id}/fail`, { reason: 'declined' });
  const { messages } = await service.stored(request);
  const timelineFor = async (caller: typeof admin) =>
    (await caller.get(`/payment-requests/${request.id}/timeline`)).body.items.at(-1).actor;

  expect(body).toMatchObject({ status: 'FAILED', decidedBy: 'root' });
  expect(JSON.parse(String(messages[0]?.['payload']))).toMatchObject({ actor: 'admin:root' });
  expect(await timelineFor(admin)).toBe('admin:root');
  expect(await timelineFor(service.caller({ 'x-user-id': 'ada' }))).toBe('operator');
});

it('the OpenAPI document describes every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});
