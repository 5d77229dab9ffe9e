import { until } from '@twinbox/messaging/testing';
import { type Answer, expectProblem } from '@twinbox/test-support';
import { steadyPort } from '@twinbox/tools';
import { AUDIENCE, type IdentityProvider, startIdentityProvider } from '@twinbox/tools/identity-provider';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let port: number;
let issuer: string;
let provider: IdentityProvider | undefined;
let service: OrderServiceHarness;

async function startProvider(): Promise<void> {
  provider = await startIdentityProvider({ issuer, port });
}

async function stopProvider(): Promise<void> {
  await provider?.stop();
  provider = undefined;
}

beforeAll(async () => {
  port = await steadyPort();
  issuer = `http://localhost:${port}`;
  service = await startOrderService({
    AUTH_MODE: 'jwt',
    OIDC_ISSUER: issuer,
    JWT_AUDIENCE: AUDIENCE,
    JWKS_COOLDOWN: '1s',
  });
});
afterAll(async () => {
  await service.stop();
  await stopProvider();
});

/** Fetches an access token and returns a client that sends it. */
async function signedIn(user: string) {
  // A connection from before the provider was restarted fails once.
  const response = await until('the provider answers', () =>
    fetch(`${issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${user}:${user}`)}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    }),
  );
  const { access_token: token } = (await response.json()) as { access_token: string };
  return service.caller({ authorization: `Bearer ${token}` });
}

const health = (path = '/health/ready') => service.caller({}).get(path);

it('P8 answers 503 and is not ready until the provider publishes its keys', async () => {
  const refused = await service.caller({ authorization: 'Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln' }).get('/orders');
  const [ready, live, catalogue] = [
    await health(),
    await health('/health/live'),
    await service.caller({}).get('/products'),
  ];

  expectProblem(refused, 503, 'keys-unavailable');
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(ready).toMatchObject({ status: 503, body: { status: 'error' } });
  expect([live.status, catalogue.status]).toEqual([200, 200]);

  await startProvider();
  await until('the service is ready', async () => (await health()).status === 200);
});

it('P10 identifies the users of the provider and their roles', async () => {
  const [demo, ops, admin] = [await signedIn('demo'), await signedIn('ops'), await signedIn('admin')];
  const { body: order } = await demo.post('/orders', aCart());

  const finish = ({ post }: typeof demo) => post(`/orders/${order.id}/finish`);

  expect(order).toMatchObject({ customerId: 'demo', status: 'PLACED' });
  expectProblem(await finish(demo), 403, 'role-required');
  for (const staff of [ops, admin]) expectProblem(await finish(staff), 409, 'order-wrong-status');
  expect((await admin.post(`/orders/${order.id}/cancel`, { reason: 'Sold out.' })).status).toBe(200);
  const actors = ({ body }: Answer) => body.items.map(({ actor }: { readonly actor: string }) => actor);
  expect(actors(await ops.get(`/orders/${order.id}/timeline`))).toEqual(['customer:demo', 'admin:admin']);
  expect(actors(await demo.get(`/orders/${order.id}/timeline`))).toEqual(['customer:demo', 'operator']);
});

it('P8 serves known and new tokens while the provider is down', async () => {
  const [known, unseen] = [await signedIn('demo'), await signedIn('ada')];
  expect((await known.get('/orders')).status).toBe(200);

  await stopProvider();

  for (const { get } of [known, unseen]) expect((await get('/orders')).status).toBe(200);
});

it('P10 accepts the new key of a provider that has replaced it, and refuses the old one', async () => {
  await startProvider();
  const old = await signedIn('demo');
  await until('the key is known', async () => (await old.get('/orders')).status === 200);

  await stopProvider();
  await startProvider();
  const fresh = await signedIn('demo');

  await until('the new key is known', async () => (await fresh.get('/orders')).status === 200);
  expectProblem(await old.get('/orders'), 401, 'caller-unknown');
});
