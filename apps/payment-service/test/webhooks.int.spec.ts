import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { loadConfig, SecurityEvents } from '@twinbox/api-kit';
import { MessagingMetrics } from '@twinbox/messaging';
import { until } from '@twinbox/messaging/testing';
import { expectProblem } from '@twinbox/test-support';
import type { FastifyRequest } from 'fastify';
import { Webhook } from 'standardwebhooks';
import { v7 as uuidv7 } from 'uuid';
import { WebhookSignature } from '../src/adapters/http/webhook-signature.js';
import { PaymentServiceConfig } from '../src/config.js';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const PATH = '/webhooks/payments';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService({ config: { WEBHOOK_SECRET: SECRET } });
});
afterAll(() => service.stop());

interface Delivery {
  readonly id?: string;
  readonly at?: Date;
  readonly secret?: string;
  /** The body to send, if it differs from the signed one. */
  readonly sent?: string;
  readonly headers?: Record<string, string>;
}

/** Signs a webhook as the provider does, and sends it. */
async function deliver(
  body: unknown,
  { id = randomUUID(), at = new Date(), secret = SECRET, sent, headers }: Delivery = {},
) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const signed = {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, at, text),
  };
  return service.caller({ ...signed, ...headers }).post(PATH, sent ?? text);
}

const succeeded = ({ id }: { readonly id: string }) => ({
  type: 'payment.succeeded',
  timestamp: '2026-11-21T09:31:00Z',
  data: { paymentRequestId: id },
});
const failed = ({ id }: { readonly id: string }, reason?: unknown) => ({
  type: 'payment.failed',
  timestamp: '2026-11-21T09:31:00Z',
  data: { paymentRequestId: id, reason },
});

/** Expects that nothing changed. */
async function expectUntouched(request: { readonly id: string; readonly orderId: string }): Promise<void> {
  expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING', version: 1 }, messages: [] });
  expect(await service.steps(request)).toHaveLength(1);
}

describe('a secret in a file', () => {
  const NEXT = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;
  const directory = mkdtempSync(join(tmpdir(), 'webhooks-'));
  const file = join(directory, 'secret');
  let signature: WebhookSignature;
  let warn: jest.SpiedFunction<Logger['warn']>;

  beforeEach(() => {
    warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    writeFileSync(file, SECRET);
    const needed = { DATABASE_URL: 'postgres://payments@db/twinbox', KAFKA_BROKERS: 'kafka:9092' };
    signature = new WebhookSignature(
      loadConfig(PaymentServiceConfig, { ...needed, WEBHOOK_SECRET_FILE: file }),
      Object.assign(new SecurityEvents(), { report: () => undefined }),
    );
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(() => rmSync(directory, { recursive: true }));

  /** Whether a webhook with a signature by this secret is accepted. */
  function accepts(secret: string): boolean {
    const at = new Date();
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign('msg_1', at, '{}'),
    };
    try {
      return signature.verify(Buffer.from('{}'), { headers } as unknown as FastifyRequest) === 'msg_1';
    } catch {
      return false;
    }
  }

  it('P10 is read again while webhooks arrive, so that a replaced secret is no longer valid', async () => {
    expect([accepts(SECRET), accepts(NEXT)]).toEqual([true, false]);

    writeFileSync(file, NEXT);

    await until('the old secret is refused', () => !accepts(SECRET));
    expect(accepts(NEXT)).toBe(true);
  });

  it.each([
    ['not readable', () => rmSync(file), 'it cannot be read'],
    ['no secret', () => writeFileSync(file, 'whsec_short'), 'it must be whsec_'],
  ])('P10 keeps the last value while the file is %s, and logs it once', async (_, spoil, problem) => {
    spoil();

    await until('it was read again', () => !accepts(NEXT) && warn.mock.calls.length > 0);

    expect(accepts(SECRET)).toBe(true);
    expect(warn.mock.calls).toEqual([[expect.stringContaining(problem)]]);
  });
});

describe('the provider', () => {
  it('reports a success', async () => {
    const request = await service.aRequest();

    const answer = await deliver(succeeded(request), { id: 'msg_1' });

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'applied' } });
    const { request: row, messages } = await service.stored(request);
    expect(row).toMatchObject({ status: 'SUCCEEDED', decided_by: 'provider', version: 2 });
    expect(messages).toMatchObject([{ type: 'PaymentSucceeded' }]);
    expect(JSON.parse(String(messages[0]!['payload']))).toMatchObject({ actor: 'provider' });
    expect((await service.steps(request)).at(-1)).toMatchObject({
      type: 'PaymentSucceeded',
      actor: 'provider',
      cause: 'POST /webhooks/payments',
      message_id: 'msg_1',
    });
  });

  it.each([
    ['card declined', 'card declined'],
    [undefined, 'declined'],
    [null, 'declined'],
    ['', 'declined'],
    [' \n', 'declined'],
    ['a\0b\ud800', 'a b�'],
    ['😀'.repeat(600), '😀'.repeat(500)],
    [`${'x'.repeat(499)}👩‍🚀`, `${'x'.repeat(499)}👩`],
  ])('reports a failure with the reason %j', async (reason, kept) => {
    const request = await service.aRequest();

    const answer = await deliver(failed(request, reason));

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'applied' } });
    expect((await service.stored(request)).request).toMatchObject({ status: 'FAILED', reason: kept });
  });

  it('may send null for unknown values, and ids in upper case', async () => {
    const request = await service.aRequest();
    const body = { type: 'payment.failed', timestamp: null, data: { paymentRequestId: request.id.toUpperCase() } };

    const answer = await deliver({ ...body, data: { ...body.data, reason: null } });

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'applied' } });
    expect((await service.stored(request)).request).toMatchObject({ status: 'FAILED', reason: 'declined' });
  });

  it('may send a byte order mark', async () => {
    const request = await service.aRequest();

    const answer = await deliver(`\ufeff${JSON.stringify(succeeded(request))}`);

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'applied' } });
  });

  it('may send unknown fields', async () => {
    const request = await service.aRequest();
    const body = succeeded(request);

    const answer = await deliver({ ...body, livemode: true, data: { ...body.data, fee: 12, card: { last4: '4242' } } });

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'applied' } });
  });

  it('P4 repeats a webhook, which has one effect and gets a 2xx each time', async () => {
    const request = await service.aRequest();
    const first = await deliver(succeeded(request), { id: 'msg_again' });
    const before = [await service.stored(request), await service.steps(request)];

    // Signed again with the time of the second attempt, as the specification requires.
    const again = await deliver(succeeded(request), { id: 'msg_again', at: new Date(Date.now() + 5000) });

    expect([first, again].map(({ status, body }) => [status, body.outcome])).toEqual([
      [200, 'applied'],
      [200, 'repeated'],
    ]);
    expect([await service.stored(request), await service.steps(request)]).toEqual(before);
  });

  it('P4 repeats a webhook, which is counted as a duplicate', async () => {
    const request = await service.aRequest();
    const counted = async (outcome: string) => {
      const text = await service.app.get(MessagingMetrics).registry.metrics();
      const line = `messaging_inbox_messages_total{consumer="payment-webhooks",outcome="${outcome}"} `;
      return Number(
        text
          .split('\n')
          .find((each) => each.startsWith(line))
          ?.slice(line.length) ?? 0,
      );
    };
    const before = { processed: await counted('processed'), duplicates: await counted('duplicate') };

    for (let n = 0; n < 3; n++) await deliver(succeeded(request), { id: 'msg_counted' });

    expect(await counted('processed')).toBe(before.processed + 1);
    expect(await counted('duplicate')).toBe(before.duplicates + 2);
  });

  it('P4 sends a webhook twenty times at once, which has one effect', async () => {
    const request = await service.aRequest();

    const answers = await Promise.all(
      Array.from({ length: 20 }, () => deliver(succeeded(request), { id: 'msg_twins' })),
    );

    const outcomes = answers.map(({ status, body }) => `${status} ${body.outcome ?? body.type}`).toSorted();
    expect(outcomes.filter((outcome) => outcome === '200 applied')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === '200 repeated')).toHaveLength(19);
    expect((await service.stored(request)).messages).toHaveLength(1);
    expect(await service.steps(request)).toHaveLength(2);
  });

  it('repeats a result in another webhook, which adds a step and is ignored', async () => {
    const request = await service.aRequest();
    await deliver(succeeded(request));

    const same = await deliver(succeeded(request), { id: 'msg_same' });
    const opposite = await deliver(failed(request), { id: 'msg_opposite' });

    expect(same).toMatchObject({ status: 200, body: { outcome: 'passed-over' } });
    expect(opposite).toMatchObject({ status: 200, body: { outcome: 'passed-over' } });
    expect(await service.stored(request)).toMatchObject({ request: { status: 'SUCCEEDED', version: 2 } });
    expect((await service.steps(request)).slice(2)).toMatchObject([
      { type: 'MessagePassedOver', actor: 'provider', message_id: 'msg_same', detail: { type: 'payment.succeeded' } },
      {
        type: 'MessagePassedOver',
        message_id: 'msg_opposite',
        detail: { type: 'payment.failed', reason: 'The payment was SUCCEEDED.' },
      },
    ]);
  });

  it.each(['FAILED', 'CANCELLED'])(
    'reports money for a payment that is %s, gets a 2xx, and the money is refunded',
    async (status) => {
      const request = await service.aRequest();
      if (status === 'CANCELLED') await service.receivesCancelled(request);
      else await service.anOperator().post(`/payment-requests/${request.id}/fail`, { reason: 'gave up' });

      const answer = await deliver(succeeded(request));
      await service.untilStatus(request, 'REFUNDED');

      expect(answer).toMatchObject({ status: 200, body: { outcome: 'applied' } });
      const { messages } = await service.stored(request);
      expect(messages.map(({ type }) => type)).toEqual([
        status === 'CANCELLED' ? 'PaymentCancelled' : 'PaymentFailed',
        'PaymentRefunded',
      ]);
      expect((await service.steps(request)).map(({ type }) => type).slice(-2)).toEqual([
        'LatePaymentReceived',
        'PaymentRefunded',
      ]);
    },
  );

  it('reports a failure while an operator reports a success: exactly one wins', async () => {
    const requests = await service.someRequests(20);

    for (const request of requests) {
      const [operator, provider] = await Promise.all([
        service.anOperator().post(`/payment-requests/${request.id}/succeed`),
        deliver(failed(request)),
      ]);
      const won = operator.status === 200;
      expect([200, 409]).toContain(operator.status);
      expect(provider).toMatchObject({ status: 200, body: { outcome: won ? 'passed-over' : 'applied' } });
      expect((await service.stored(request)).messages).toMatchObject([
        { type: won ? 'PaymentSucceeded' : 'PaymentFailed' },
      ]);
    }
  });

  it('sends an irrelevant type, which is accepted and ignored', async () => {
    const request = await service.aRequest();

    const answer = await deliver({ type: 'payment.updated', data: { paymentRequestId: request.id } });

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'ignored' } });
    await expectUntouched(request);
  });

  it('gets a 404 for an unknown request, and may send the webhook again later', async () => {
    const paymentRequestId = uuidv7();

    const first = await deliver(succeeded({ id: paymentRequestId }), { id: 'msg_early' });
    const again = await deliver(succeeded({ id: paymentRequestId }), { id: 'msg_early' });

    expectProblem(first, 404, 'payment-request-not-found', { paymentRequestId });
    expectProblem(again, 404, 'payment-request-not-found');
    expect(await service.database.sql(`select from payments.inbox where message_id = 'msg_early'`)).toEqual([]);
  });
});

describe('a webhook that names its money', () => {
  const naming = (webhook: { readonly type: string; readonly data: object }, money: object) => ({
    ...webhook,
    data: { ...webhook.data, ...money },
  });
  const mismatched = async () => {
    const metrics = await (await fetch(new URL('/metrics', service.url))).text();
    return Number(/^payment_webhooks_mismatched_total (\d+)$/m.exec(metrics)?.[1]);
  };

  it.each([
    [{ amount: 900 }],
    [{ currency: 'EUR' }],
    [{ amount: 900, currency: 'EUR' }],
    [{ amount: 900, currency: 'eur' }],
    [{ amount: null, currency: null }],
  ])('settles the payment when it matches: %j', async (money) => {
    const request = await service.aRequest();

    const answer = await deliver(naming(succeeded(request), money));

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'applied' } });
    expect((await service.stored(request)).request).toMatchObject({ status: 'SUCCEEDED' });
  });

  it.each([
    [{ amount: 899 }],
    [{ amount: 90_000 }],
    [{ amount: 0 }],
    [{ currency: 'USD' }],
    [{ amount: 900, currency: 'JPY' }],
    [{ amount: 1, currency: 'EUR' }],
  ])('does not settle the payment when it differs: %j', async (money) => {
    const request = await service.aRequest();
    const before = await mismatched();

    const answer = await deliver(naming(succeeded(request), money), { id: `msg_${request.id}` });
    const again = await deliver(naming(succeeded(request), money), { id: `msg_${request.id}` });

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'passed-over' } });
    expect(again).toMatchObject({ status: 200, body: { outcome: 'repeated' } });
    expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING', version: 1 }, messages: [] });
    const { body } = await service.anOperator().get(`/payment-requests/${request.id}/timeline`);
    expect(body.items.slice(1)).toMatchObject([
      {
        type: 'AmountMismatched',
        status: 'PENDING',
        version: 1,
        actor: 'provider',
        cause: 'POST /webhooks/payments',
        messageId: `msg_${request.id}`,
        detail: { type: 'payment.succeeded', reason: expect.stringContaining('the payment is 900 EUR') },
      },
    ]);
    expect(await mismatched()).toBe(before + 1);
  });

  it('is hidden from the customer when it differs, because it may belong to another payment', async () => {
    const request = await service.aRequest({ customerId: 'ada' });
    await deliver(naming(succeeded(request), { amount: 123_456, currency: 'USD' }));

    const { body } = await service.caller({ 'x-user-id': 'ada' }).get(`/payment-requests/${request.id}/timeline`);

    expect(body.items.at(-1)).toMatchObject({
      type: 'AmountMismatched',
      detail: { type: 'payment.succeeded', reason: 'It names a different amount or currency than the payment.' },
    });
    expect(JSON.stringify(body)).not.toMatch(/123456|USD/);
  });

  it('does not fail the payment when it differs', async () => {
    const request = await service.aRequest();

    const answer = await deliver(naming(failed(request, 'card declined'), { amount: 1 }));

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'passed-over' } });
    expect(await service.stored(request)).toMatchObject({ request: { status: 'PENDING', version: 1 }, messages: [] });
  });

  it('causes no refund of a cancelled payment when it differs', async () => {
    const request = await service.aRequest();
    await service.receivesCancelled(request);

    const answer = await deliver(naming(succeeded(request), { amount: 1 }));

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'passed-over' } });
    expect((await service.stored(request)).request).toMatchObject({ status: 'CANCELLED' });
    expect((await service.steps(request)).at(-1)).toMatchObject({ type: 'AmountMismatched', status: 'CANCELLED' });
  });

  it('settles the payment once the provider sends the right amount', async () => {
    const request = await service.aRequest();
    await deliver(naming(succeeded(request), { amount: 1 }));

    const answer = await deliver(naming(succeeded(request), { amount: 900, currency: 'EUR' }));

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'applied' } });
  });

  it.each([
    [{ amount: '900' }, '#/data/amount'],
    [{ amount: 9.5 }, '#/data/amount'],
    [{ amount: -900 }, '#/data/amount'],
    [{ amount: 1e19 }, '#/data/amount'],
    [{ currency: 978 }, '#/data/currency'],
    [{ currency: 'euro' }, '#/data/currency'],
    [{ currency: '' }, '#/data/currency'],
  ])('is rejected when the amount or currency is invalid: %j', async (money, pointer) => {
    const request = await service.aRequest();

    const answer = await deliver(naming(succeeded(request), money));

    expectProblem(answer, 400, 'validation', { errors: [{ pointer, detail: expect.stringMatching(/\S/) }] });
    await expectUntouched(request);
  });
});

describe('while the provider rotates its secret', () => {
  const [old, next] = [1, 2].map((byte) => `whsec_${Buffer.alloc(24, byte).toString('base64')}`) as [string, string];
  let rotating: PaymentServiceHarness;
  beforeAll(async () => {
    rotating = await startPaymentService({ config: { WEBHOOK_SECRET: `${old}, ${next}` } });
  });
  afterAll(() => rotating.stop());

  async function signedWith(...secrets: string[]) {
    const request = await rotating.aRequest();
    const [id, at] = [randomUUID(), new Date()];
    const text = JSON.stringify(succeeded(request));
    const headers = {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, text)).join(' '),
    };
    return rotating.caller(headers).post(PATH, text);
  }

  it.each([
    ['the old one', [old]],
    ['the new one', [next]],
    ['both', [old, next]],
    ['an unknown one and the new one', [SECRET, next]],
  ])('a webhook is valid when signed with %s', async (_, secrets) => {
    expect(await signedWith(...secrets)).toMatchObject({ status: 200, body: { outcome: 'applied' } });
  });

  it('P10 a webhook signed with any other secret is invalid, and is a security event', async () => {
    const reported: unknown[] = [];
    rotating.app.get(SecurityEvents).report = (_, ...event) => void reported.push(event);

    expectProblem(await signedWith(SECRET), 401, 'webhook-not-genuine');

    expect(reported).toEqual([['webhook-refused', 'No matching signature found.']]);
  });
});

describe('P10 a webhook is rejected', () => {
  it.each<[string, Delivery]>([
    ['with another secret', { secret: `whsec_${Buffer.alloc(32, 8).toString('base64')}` }],
    ['that is older than 5 minutes', { at: new Date(Date.now() - 301_000) }],
    ['from the future', { at: new Date(Date.now() + 600_000) }],
    ['with a different id than was signed', { headers: { 'webhook-id': 'msg_other' } }],
    [
      'of another time than was signed',
      { headers: { 'webhook-timestamp': String(Math.floor(Date.now() / 1000) - 1) } },
    ],
    ['with an invalid timestamp', { headers: { 'webhook-timestamp': 'now' } }],
    ['without an id', { headers: { 'webhook-id': '' } }],
    ['without a timestamp', { headers: { 'webhook-timestamp': '' } }],
    ['without a signature', { headers: { 'webhook-signature': '' } }],
    ['with a signature of another scheme', { headers: { 'webhook-signature': 'v1a,abc' } }],
    ['with an invalid signature', { headers: { 'webhook-signature': 'v1' } }],
    ['with an id that is too long', { id: 'x'.repeat(256) }],
    [
      'of a caller who says who they are instead',
      { headers: { 'webhook-signature': '', 'x-user-id': 'ops', 'x-roles': 'operator' } },
    ],
  ])('%s', async (_, delivery) => {
    const request = await service.aRequest();

    const answer = await deliver(succeeded(request), delivery);

    expectProblem(answer, 401, 'webhook-not-genuine');
    await expectUntouched(request);
  });

  it('whose body was changed in transit', async () => {
    const [request, other] = [await service.aRequest(), await service.aRequest()];

    const answer = await deliver(succeeded(request), { sent: JSON.stringify(succeeded(other)) });
    const spaced = await deliver(succeeded(request), { sent: `${JSON.stringify(succeeded(request))} ` });

    expectProblem(answer, 401, 'webhook-not-genuine');
    expectProblem(spaced, 401, 'webhook-not-genuine');
    await expectUntouched(request);
    await expectUntouched(other);
  });

  it('that is replayed after its time', async () => {
    const request = await service.aRequest();
    const at = new Date(Date.now() - 299_000);

    const inTime = await deliver(succeeded(request), { id: 'msg_replayed', at });
    const late = await deliver(succeeded(request), { id: 'msg_replayed', at: new Date(Date.now() - 302_000) });

    expect(inTime).toMatchObject({ status: 200, body: { outcome: 'applied' } });
    expectProblem(late, 401, 'webhook-not-genuine');
  });

  it('unless one of its signatures is the provider’s, as during key rotation', async () => {
    const request = await service.aRequest();
    const [id, at] = [randomUUID(), new Date()];
    const text = JSON.stringify(succeeded(request));
    const right = new Webhook(SECRET).sign(id, at, text);

    const answer = await deliver(text, {
      id,
      at,
      headers: { 'webhook-signature': `v1,${'A'.repeat(43)}= v2,x ${right}` },
    });

    expect(answer).toMatchObject({ status: 200, body: { outcome: 'applied' } });
  });
});

describe('a correctly signed webhook is rejected', () => {
  it.each<[unknown, string]>([
    ['"text"', '#'],
    ['[]', '#'],
    ['null', '#'],
    [{}, '#/type'],
    [{ type: 7 }, '#/type'],
    [{ type: 'payment.succeeded' }, '#/data'],
    [{ type: 'payment.succeeded', data: 'x' }, '#/data'],
    [{ type: 'payment.succeeded', data: [] }, '#/data'],
    [{ type: null }, '#/type'],
    [{ type: 'payment.succeeded', data: null }, '#/data'],
    [{ type: 'payment.succeeded', data: { paymentRequestId: null } }, '#/data/paymentRequestId'],
    [{ type: 'payment.succeeded', data: { paymentRequestId: `{${uuidv7()}}` } }, '#/data/paymentRequestId'],
    [{ type: 'payment.succeeded', data: {} }, '#/data/paymentRequestId'],
    [{ type: 'payment.succeeded', data: { paymentRequestId: '17' } }, '#/data/paymentRequestId'],
    [{ type: 'payment.failed', data: { paymentRequestId: uuidv7(), reason: 7 } }, '#/data/reason'],
  ])('for %j', async (body, pointer) => {
    const answer = await deliver(body);

    expectProblem(answer, 400, 'validation', { errors: [{ pointer, detail: expect.stringMatching(/\S/) }] });
  });

  it('for invalid JSON', async () => {
    expectProblem(await deliver('{"type":'), 400, 'malformed-body');
    expectProblem(
      await deliver('type=x', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
      415,
      'unsupported-media-type',
    );
    expectProblem(await deliver({ type: 'x'.repeat(200_000) }), 413, 'payload-too-large');
  });

  it('P10 for invalid JSON, only after its signature is verified', async () => {
    const forged = { secret: `whsec_${Buffer.alloc(32, 8).toString('base64')}` };

    for (const body of ['{"type":', '\ufeff\ufeff{}', `[${'{},'.repeat(30_000)}{}]`]) {
      expectProblem(await deliver(body, forged), 401, 'webhook-not-genuine');
    }
  });

  it('for too many values', async () => {
    const { type, data } = succeeded({ id: uuidv7() });

    const answer = await deliver({ type, data: { ...data, more: Array.from({ length: 30_000 }, () => ({})) } });

    expectProblem(answer, 400, 'validation', { errors: [{ pointer: '#', detail: expect.any(String) }] });
  });

  it('for an empty body, whatever its content type', async () => {
    const [id, at] = [randomUUID(), new Date()];
    const headers = {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(SECRET).sign(id, at, ''),
    };

    expectProblem(await service.caller(headers).post(PATH), 400, 'malformed-body');
    expectProblem(
      await service.caller({ ...headers, 'content-type': 'application/json' }).post(PATH, ''),
      400,
      'malformed-body',
    );
  });

  it('P1 when the outbox cannot be written, and applied when sent again', async () => {
    const request = await service.aRequest();

    const answer = await service.withoutOutbox(() => deliver(succeeded(request), { id: 'msg_outbox' }));
    await expectUntouched(request);
    const again = await deliver(succeeded(request), { id: 'msg_outbox' });

    expectProblem(answer, 500, 'internal-error');
    expect(again).toMatchObject({ status: 200, body: { outcome: 'applied' } });
  });
});

it('without a secret every webhook is rejected with a 503, so the provider retries', async () => {
  const unconfigured = await startPaymentService();
  const request = await unconfigured.aRequest();
  const [id, at] = [randomUUID(), new Date()];
  const text = JSON.stringify(succeeded(request));

  const answer = await unconfigured
    .caller({
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(SECRET).sign(id, at, text),
    })
    .post(PATH, text);

  expectProblem(answer, 503, 'webhooks-not-configured', { detail: expect.stringContaining('WEBHOOK_SECRET') });
  expect(answer.headers.get('retry-after')).toBe('1');
  expect(unconfigured.undocumented()).toEqual([]);
  await unconfigured.stop();
});

it('the OpenAPI document describes every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});
