import { expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
});
afterAll(() => service.stop());

type Headers = Readonly<Record<string, string>>;

const at = ({ id }: { readonly id: string }) => `/payment-requests/${id}`;
const anOperator = (headers: Headers) => service.anOperator('olga', { ...headers });

it('the date of a payment request is evaluated when there is no ETag', async () => {
  const request = await service.aRequest();
  const longAgo = new Date(0).toUTCString();
  await service.database.sql(
    `update payments.payment_requests set updated_at = '2026-11-20T10:00:05.900Z' where id = $1`,
    [request.id],
  );
  const modified = (await anOperator({}).get(at(request))).headers.get('last-modified') ?? '';
  const succeed = (date: string) => anOperator({ 'if-unmodified-since': date }).post(`${at(request)}/succeed`);

  const known = await anOperator({ 'if-modified-since': modified }).get(at(request));
  const refused = await succeed(longAgo);
  const done = await succeed(modified);
  const changed = await anOperator({ 'if-modified-since': modified }).get(at(request));

  expect(modified).toBe('Fri, 20 Nov 2026 10:00:05 GMT');
  expect([known.status, done.status, changed.status]).toEqual([304, 200, 200]);
  expectProblem(refused, 412, 'version-conflict', { actual: 1 });
});

describe('a GET of a payment request', () => {
  it('returns 304 to a client with the current version', async () => {
    const request = await service.aRequest();
    const etag = (await service.anOperator().get(at(request))).headers.get('etag') ?? '';

    const known = [];
    for (const ifNoneMatch of [etag, `W/${etag}`, `"x", ${etag}`, '*'])
      known.push(await anOperator({ 'if-none-match': ifNoneMatch }).get(at(request)));
    await service.anOperator().post(`${at(request)}/succeed`);
    const changed = await anOperator({ 'if-none-match': etag }).get(at(request));

    expect(etag).toBe('"1"');
    for (const { status, headers, body } of known) {
      expect([status, body]).toEqual([304, '']);
      expect(headers.get('etag')).toBe(etag);
      expect(headers.get('vary')).toBe('X-User-Id, X-Roles');
      expect(headers.get('cache-control')).toBe('no-store');
    }
    expect(changed).toMatchObject({ status: 200, body: { version: 2 } });
    expect(changed.headers.get('etag')).toBe('"2"');
  });

  it('returns another representation to its customer, who sees less', async () => {
    const request = await service.aRequest({ customerId: 'ada' });
    const as = (headers: Headers) => service.caller({ 'x-user-id': 'ada', ...headers }).get(at(request));
    const own = (await as({})).headers.get('etag') ?? '';

    expect((await as({ 'if-none-match': own })).status).toBe(304);
    expect(await as({ 'if-none-match': '"1"' })).toMatchObject({ status: 200, body: { gateway: null } });
    expect((await anOperator({ 'if-none-match': own }).get(at(request))).status).toBe(200);
  });

  it('returns 412 for another version in If-Match, and 404 to another customer', async () => {
    const request = await service.aRequest();
    const stranger = service.caller({ 'x-user-id': 'somebody else', 'if-match': '"9"', 'if-none-match': '*' });

    expectProblem(await anOperator({ 'if-match': '"2"' }).get(at(request)), 412, 'version-conflict', {
      expected: 2,
      actual: 1,
    });
    expectProblem(await stranger.get(at(request)), 404, 'payment-request-not-found');
    expectProblem(await anOperator({ 'if-match': '"9"' }).get(at({ id: uuidv7() })), 404, 'payment-request-not-found');
    expectProblem(await anOperator({ 'if-none-match': '1' }).get(at(request)), 400, 'validation');
  });
});

describe.each([
  { action: 'succeed', body: undefined, status: 'SUCCEEDED' },
  { action: 'fail', body: { reason: 'declined' }, status: 'FAILED' },
])('a result with a precondition: $action', ({ action, body, status }) => {
  it('is rejected when it does not hold, and accepted when it does', async () => {
    const request = await service.aRequest();
    const send = (headers: Headers) => anOperator(headers).post(`${at(request)}/${action}`, body);

    const refused: [Headers, object][] = [
      [{ 'if-match': '"2"' }, { expected: 2 }],
      [{ 'if-match': '"2", "3"' }, { expected: [2, 3] }],
      [{ 'if-match': 'W/"1"' }, { expected: [] }],
      [{ 'if-none-match': '*' }, { unexpected: '*' }],
      [{ 'if-none-match': 'W/"1"' }, { unexpected: 1 }],
    ];
    for (const [headers, members] of refused)
      expectProblem(await send(headers), 412, 'version-conflict', { actual: 1, ...members });
    for (const headers of [{ 'if-match': '1' }, { 'if-none-match': '1' }])
      expectProblem(await send(headers), 400, 'validation');
    expect((await service.stored(request)).messages).toEqual([]);
    const taken = await send({ 'if-match': '"1", "7"' });

    expect(taken).toMatchObject({ status: 200, body: { status, version: 2 } });
    expect(taken.headers.get('etag')).toBe('"2"');
    expectProblem(await send({ 'if-match': '"1"' }), 412, 'version-conflict', { expected: 1, actual: 2 });
    expect((await send({ 'if-match': '"2"' })).status).toBe(200);
  });

  it('returns 404 for an unknown request and 403 without the role, whatever the precondition', async () => {
    const request = await service.aRequest({ customerId: 'ada' });

    for (const headers of [{ 'if-match': '"9"' }, { 'if-none-match': '*' }] as Headers[]) {
      const unknown = await anOperator(headers).post(`${at({ id: uuidv7() })}/${action}`, body);
      expectProblem(unknown, 404, 'payment-request-not-found');
      const ada = service.caller({ 'x-user-id': 'ada', ...headers });
      expectProblem(await ada.post(`${at(request)}/${action}`, body), 403, 'role-required');
    }
  });

  it('returns the stored answer for a repeated key, even if the precondition no longer holds', async () => {
    const request = await service.aRequest();
    const operator = anOperator({ 'if-match': '"1"', 'idempotency-key': uuidv7() });

    const first = await operator.post(`${at(request)}/${action}`, body);
    const again = await operator.post(`${at(request)}/${action}`, body);

    expect(first).toMatchObject({ status: 200, body: { version: 2 } });
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(again.headers.get('etag')).toBe('"2"');
  });
});

it('a refund by hand is rejected when its precondition does not hold', async () => {
  const request = await service.aRequest();
  await service.anOperator().post(`${at(request)}/succeed`);

  const stale = await anOperator({ 'if-match': '"1"' }).post(`${at(request)}/refunded`);
  const fresh = await anOperator({ 'if-match': '"2"' }).post(`${at(request)}/refunded`);

  expectProblem(stale, 412, 'version-conflict', { expected: 1, actual: 2 });
  expectProblem(fresh, 409, 'refund-not-due', { actual: 'SUCCEEDED' });
});

it('the OpenAPI document describes every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});
