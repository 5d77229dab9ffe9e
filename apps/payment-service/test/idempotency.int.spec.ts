import { expectProblem } from '@twinbox/test-support';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
});
afterAll(() => service.stop());

const withKey = (key: string, userId = 'ops') => service.anOperator(userId, { 'idempotency-key': key });
const replayed = ({ headers }: { readonly headers: Headers }) => headers.get('idempotent-replayed');

describe.each([
  { action: 'succeed', body: undefined, status: 'SUCCEEDED' },
  { action: 'fail', body: { reason: 'declined' }, status: 'FAILED' },
])('an idempotency key: $action', ({ action, body, status }) => {
  const at = ({ id }: { readonly id: string }) => `/payment-requests/${id}/${action}`;

  it('P4 repeated gets the stored answer, whatever has happened since', async () => {
    const request = await service.aRequest();
    const first = await withKey('once').post(at(request), body);
    await service.receivesCancelled(request);

    const second = await withKey('once').post(at(request), body);

    expect(first).toMatchObject({ status: 200, body: { status, version: 2 } });
    expect(replayed(first)).toBeNull();
    expect(second).toMatchObject({ status: 200, body: first.body });
    expect(replayed(second)).toBe('true');
  });

  it('P4 used by fifty concurrent requests has one effect and one answer', async () => {
    const request = await service.aRequest();

    const answers = await Promise.all(Array.from({ length: 50 }, () => withKey('twins').post(at(request), body)));

    expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 200));
    expect(new Set(answers.map((answer) => JSON.stringify(answer.body))).size).toBe(1);
    expect(answers.filter((answer) => replayed(answer) === null)).toHaveLength(1);
    expect((await service.stored(request)).messages).toHaveLength(1);
    expect(await service.steps(request)).toHaveLength(2);
  });

  it('P4 is the same however the id and the key are written', async () => {
    const request = await service.aRequest();
    const first = await withKey('spelled').post(at(request), body);

    const answers = [
      await withKey('"spelled"').post(at(request), body),
      await withKey('spelled').post(at({ id: request.id.toUpperCase() }), body),
    ];

    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 200, body: first.body });
      expect(replayed(answer)).toBe('true');
    }
    expect((await service.stored(request)).messages).toHaveLength(1);
  });

  it('belongs to its caller and path', async () => {
    const [request, other] = [await service.aRequest(), await service.aRequest()];
    await withKey('shared', 'olga').post(at(request), body);

    const others = await withKey('shared', 'otto').post(at(request), body);
    const elsewhere = await withKey('shared', 'olga').post(at(other), body);

    expect([others.status, elsewhere.status]).toEqual([200, 200]);
    expect([replayed(others), replayed(elsewhere)]).toEqual([null, null]);
    expect((await service.stored(other)).messages).toHaveLength(1);
  });

  it('P4 has one effect however the id is written', async () => {
    const request = await service.aRequest();
    const inCapitals = `/payment-requests/${request.id.toUpperCase()}/${action}`;
    const escaped = `/payment-requests/%30${request.id.slice(1)}/${action}`;
    const first = await withKey('spelled').post(inCapitals, body);

    const others = [await withKey('spelled').post(at(request), body), await withKey('spelled').post(escaped, body)];

    expect(first).toMatchObject({ status: 200, body: { id: request.id, version: 2 } });
    for (const other of others) {
      expect(other).toMatchObject({ status: 200, body: first.body });
      expect(replayed(other)).toBe('true');
    }
  });

  it('stores no rejection, so the same key may be tried again', async () => {
    const request = await service.aRequest();
    await service.receivesCancelled(request);

    const refused = await withKey('refused').post(at(request), body);
    const again = await withKey('refused').post(at(request), body);

    expectProblem(refused, 409, 'payment-already-decided', { actual: 'CANCELLED' });
    expectProblem(again, 409, 'payment-already-decided');
    expect(replayed(again)).toBeNull();
    expect(await service.database.sql(`select from payments.idempotency_keys where key = 'refused'`)).toEqual([]);
  });

  it('P1 stores nothing when the outbox cannot be written', async () => {
    const request = await service.aRequest();

    const answer = await service.withoutOutbox(() => withKey('p1').post(at(request), body));
    const again = await withKey('p1').post(at(request), body);

    expectProblem(answer, 500, 'internal-error');
    expect(again).toMatchObject({ status: 200, body: { status } });
    expect(replayed(again)).toBeNull();
  });

  it.each(['', ' ', 'a b', 'ä', 'x'.repeat(256)])('is rejected when invalid: %j', async (key) => {
    const request = await service.aRequest();

    expectProblem(await withKey(key).post(at(request), body), 400, 'idempotency-key-invalid');
    expect((await service.stored(request)).messages).toEqual([]);
  });
});

it('P4 an idempotency key is rejected with a different body', async () => {
  const request = await service.aRequest();
  await withKey('reason').post(`/payment-requests/${request.id}/fail`, { reason: 'declined' });

  const answer = await withKey('reason').post(`/payment-requests/${request.id}/fail`, { reason: 'expired' });

  expectProblem(answer, 422, 'idempotency-key-reused');
  expect(await service.stored(request)).toMatchObject({ request: { reason: 'declined' } });
});

it('the OpenAPI document describes every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});
