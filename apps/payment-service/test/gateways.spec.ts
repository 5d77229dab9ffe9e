import { loadConfig } from '@twinbox/api-kit';
import { DEMO_WEBHOOK_SECRET } from '@twinbox/contracts/demo';
import { v7 as uuidv7 } from 'uuid';
import { PaymentServiceConfig } from '../src/config.js';
import { gatewayOf } from '../src/adapters/gateway/gateway-of.js';
import { ManualGateway } from '../src/adapters/gateway/manual-gateway.js';
import { aRequest, describeGateway } from './payment-gateway.contract.js';
import { SimulatedGateway, type SimulatedGatewayOptions } from '../src/adapters/gateway/simulated-gateway.js';

const never = new AbortController().signal;

function simulated(options: Partial<SimulatedGatewayOptions> = {}) {
  return new SimulatedGateway({ delayMs: 0, failureRate: 0, seed: 'test', ...options });
}

describeGateway('manual', () => new ManualGateway());
describeGateway('simulated', () => simulated({ failureRate: 0.5, delayMs: 1 }));

describe('the simulated gateway', () => {
  async function outcomes(gateway: SimulatedGateway, ids: readonly string[]): Promise<string[]> {
    const answers = await Promise.all(ids.map((id) => gateway.charge(aRequest(id), id, never)));
    return answers.map(({ status }) => status);
  }
  const ids = Array.from({ length: 1000 }, () => uuidv7());

  it.each([
    [0, 0, 0],
    [0.2, 120, 280],
    [1, 1000, 1000],
  ])('fails a share of %d', async (failureRate, least, most) => {
    const failed = (await outcomes(simulated({ failureRate }), ids)).filter((status) => status === 'FAILED');

    expect(failed.length).toBeGreaterThanOrEqual(least);
    expect(failed.length).toBeLessThanOrEqual(most);
  });

  it('fails the same payments for the same seed, and others for another', async () => {
    const [first, again, other] = await Promise.all([
      outcomes(simulated({ failureRate: 0.5, seed: 'a' }), ids),
      outcomes(simulated({ failureRate: 0.5, seed: 'a' }), ids),
      outcomes(simulated({ failureRate: 0.5, seed: 'b' }), ids),
    ]);

    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('waits for its delay, and stops when the call is aborted', async () => {
    const began = performance.now();
    await simulated({ delayMs: 50 }).charge(aRequest(), 'a', never);
    expect(performance.now() - began).toBeGreaterThanOrEqual(49);

    const abort = new AbortController();
    const charge = simulated({ delayMs: 60_000 }).charge(aRequest(), 'a', abort.signal);
    abort.abort();
    await expect(charge).rejects.toThrow('abort');
    await expect(simulated().refund(aRequest(), 'a', abort.signal)).rejects.toThrow('abort');
  });
});

describe('the configuration', () => {
  const needed = { DATABASE_URL: 'postgres://a:b@127.0.0.1/c', KAFKA_BROKERS: '127.0.0.1:9092' };
  const load = (env: Record<string, string>) => loadConfig(PaymentServiceConfig, { ...needed, ...env });

  it('defaults to the manual gateway and 15 minutes', () => {
    const config = load({});

    expect(gatewayOf(config)).toBeInstanceOf(ManualGateway);
    expect(config).toMatchObject({ PAYMENT_TTL: 900_000, SIMULATED_DELAY: 0, SIMULATED_FAILURE_RATE: 0 });
    expect(config.WEBHOOK_SECRET).toBeUndefined();
  });

  it('chooses the simulated gateway', async () => {
    const env = {
      PAYMENT_GATEWAY: 'simulated',
      SIMULATED_FAILURE_RATE: '1',
      SIMULATED_DELAY: '1ms',
      SIMULATED_SEED: 's',
    };

    const gateway = gatewayOf(load(env));

    expect(gateway.automatic).toBe(true);
    expect(await gateway.charge(aRequest(), 'a', never)).toEqual({ status: 'FAILED', reason: 'declined' });
  });

  it.each([
    ['PAYMENT_GATEWAY', 'foo', 'PAYMENT_GATEWAY="foo": it must be manual or simulated.'],
    ['PAYMENT_TTL', '15', /^PAYMENT_TTL="15": it must be a whole number of ms, s, m, h or d/],
    ['PAYMENT_TTL', '0s', /^PAYMENT_TTL="0s": .* from 1s to/],
    ['SIMULATED_DELAY', '21s', /^SIMULATED_DELAY="21s": .* from 0ms to 20s/],
    ['SIMULATED_FAILURE_RATE', '1.5', /^SIMULATED_FAILURE_RATE="1.5": it must be a number from 0 to 1/],
    ['SIMULATED_SEED', 'a b', /^SIMULATED_SEED="a b": it must be 1 to 249/],
    [
      'WEBHOOK_SECRET',
      'hunter2',
      'WEBHOOK_SECRET="(not shown)": it must be whsec_ followed by 24 to 64 bytes in base64.',
    ],
    ['WEBHOOK_SECRET', `whsec_${'a'.repeat(31)}`, /not shown/],
    ['WEBHOOK_SECRET', `whsec_${'a'.repeat(33)}`, /not shown/],
    ['WEBHOOK_SECRET', `whsec_${'a'.repeat(31)}-`, /not shown/],
    [
      'CONSUMER_GROUP',
      'payment-webhooks',
      'CONSUMER_GROUP="payment-webhooks": it must differ from payment-webhooks, the name of the webhooks in the inbox.',
    ],
    ['PAYMENT_EVENTS_TOPIC', 'order.events', /^PAYMENT_EVENTS_TOPIC="order.events": it must differ from/],
    ['ORDER_EVENTS_TOPIC', 'payment.events', /^ORDER_EVENTS_TOPIC="payment.events": it must differ from/],
  ])('is rejected at start-up with %s=%s', (name, value, line) => {
    expect(() => load({ [name]: value })).toThrow(line);
  });

  const secretOf = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`;

  it.each(Array.from({ length: 41 }, (_, n) => 24 + n))('accepts a secret of %d bytes', (bytes) => {
    const secret = secretOf(bytes);

    expect(load({ WEBHOOK_SECRET: secret }).WEBHOOK_SECRET).toBe(secret);
  });

  it.each([' ', ',', ', ', '\n', ' ,\t'])('accepts several secrets separated by %j', (separator) => {
    const secrets = [secretOf(24), secretOf(32), secretOf(64)].join(separator);

    expect(load({ WEBHOOK_SECRET: secrets }).WEBHOOK_SECRET).toBe(secrets);
    expect(() => load({ WEBHOOK_SECRET: `${secrets}${separator}hunter2` })).toThrow('(not shown)');
  });

  it('P10 refuses the secret of the demo in production, alone or with others', () => {
    const demo = DEMO_WEBHOOK_SECRET;
    const production = {
      NODE_ENV: 'production',
      AUTH_MODE: 'jwt',
      OIDC_ISSUER: 'https://id.example',
      JWT_AUDIENCE: 'shop',
    };

    for (const WEBHOOK_SECRET of [demo, `${secretOf(24)}, ${demo}`]) {
      expect(load({ WEBHOOK_SECRET }).WEBHOOK_SECRET).toBe(WEBHOOK_SECRET);
      expect(() => load({ ...production, WEBHOOK_SECRET })).toThrow(
        'WEBHOOK_SECRET="(not shown)": it must not be the one of the demo with NODE_ENV="production", because everyone knows it.',
      );
    }
    expect(load({ ...production, WEBHOOK_SECRET: secretOf(24) }).NODE_ENV).toBe('production');
  });

  it.each([1, 18, 21, 22, 23, 65, 66, 67, 96])('rejects a secret of %d bytes', (bytes) => {
    expect(() => load({ WEBHOOK_SECRET: secretOf(bytes) })).toThrow('24 to 64 bytes');
  });
});
