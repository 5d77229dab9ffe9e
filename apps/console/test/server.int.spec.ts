import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TestDatabase, until } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  type ServiceProcess,
  startService,
  stopServices,
} from '@twinbox/test-support';
import { freePort, root } from '@twinbox/tools';
import { type IdentityProvider, startIdentityProvider } from '@twinbox/tools/identity-provider';
import { type RunningConsole, startConsole } from './start-console.js';
import { follow, signIn, Tab } from './tab.js';

const NOWHERE = 'http://127.0.0.1:9';

let database: TestDatabase;
/** order-service with AUTH_MODE=dev, and with AUTH_MODE=jwt. */
let trusting: ServiceProcess;
let strict: ServiceProcess;
let provider: IdentityProvider;
let signedInPort: number;
const consoles: RunningConsole[] = [];

/** Starts a console that this file stops. */
async function aConsole(env: Record<string, string> = {}, port?: number): Promise<RunningConsole> {
  const started = await startConsole({ ORDERS_URL: trusting.url, PAYMENTS_URL: NOWHERE, ...env }, port);
  consoles.push(started);
  return started;
}

const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

beforeAll(async () => {
  signedInPort = await freePort();
  const [issuerPort, topics] = await Promise.all([freePort(), createServiceTopics()]);
  database = await createServiceDatabase();
  const issuer = `http://localhost:${issuerPort}`;
  provider = await startIdentityProvider({
    issuer,
    port: issuerPort,
    consoles: [`http://localhost:${signedInPort}`],
    tokenSeconds: 3,
  });
  const env = { ...topics.env('order-service'), DATABASE_URL: database.urlFor('orders', 'orders') };
  const withTokens = { AUTH_MODE: 'jwt', OIDC_ISSUER: issuer, JWT_AUDIENCE: 'twinbox', JWT_CLOCK_TOLERANCE: '0s' };
  [trusting, strict] = await Promise.all([
    startService('order-service', env),
    startService('order-service', { ...env, ...withTokens }),
  ]);
});

afterAll(async () => {
  await Promise.all(consoles.map((started) => started.stop()));
  await stopServices();
  await provider?.stop();
  await database?.drop();
});

describe('with AUTH_MODE=dev', () => {
  let shown: RunningConsole;
  let tab: Tab;

  beforeAll(async () => {
    shown = await aConsole({ DEMO: 'on' });
  });
  beforeEach(() => {
    tab = shown.tab();
  });

  /** Signs in as a demo user. */
  async function as(userId: string): Promise<Tab> {
    expect(await tab.post('/session', { userId })).toMatchObject({ status: 200, body: { signedIn: true } });
    return tab;
  }

  it('P10 offers demo users, and nobody else', async () => {
    const { body } = await tab.get('/session');
    const refused = await tab.post('/session', { userId: 'root' });

    expect(body).toMatchObject({ mode: 'dev', demo: true, signedIn: false });
    expect(body.users.map(({ id }: { id: string }) => id)).toEqual(expect.arrayContaining(['demo', 'ops', 'admin']));
    expect(refused.status).toBe(400);
    expect(tab.session).toBeUndefined();
  });

  it('P10 gives the user a new session at each sign-in, in a cookie that no script reads', async () => {
    const fixed = 'chosen-by-somebody-else';
    tab.session = fixed;

    const { headers } = await tab.post('/session', { userId: 'demo' });
    const first = tab.session;
    await tab.post('/session', { userId: 'ops' });
    const replaced = shown.tab();
    replaced.session = first ?? '';

    expect(headers['set-cookie']).toMatch(/HttpOnly; SameSite=Strict/);
    expect(first).not.toBe(fixed);
    expect(tab.session).not.toBe(first);
    expect((await replaced.get('/session')).body).toMatchObject({ signedIn: false });
  });

  it('P10 forwards a request as the user of the session, even if the browser names another user', async () => {
    await as('demo');
    const claims = { 'x-user-id': 'admin', 'x-roles': 'admin', authorization: 'Bearer x' };

    const placed = await tab.post('/api/orders/orders', { items: [{ productId: 'tea', quantity: 1 }] }, claims);
    const administration = await tab.get('/api/orders/admin/messaging', claims);

    expect(placed).toMatchObject({ status: 201, body: { customerId: 'demo' } });
    expect(placed.headers.etag).toBeDefined();
    expect(placed.headers['content-security-policy']).toContain("default-src 'none'");
    expect(administration.status).toBe(403);
    expect((await (await as('admin')).get('/api/orders/admin/messaging')).status).toBe(200);
  });

  it('passes on problems as they are, and conditional requests', async () => {
    await as('demo');
    const unknown = await tab.get('/api/orders/orders/01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d');
    const list = await tab.get('/api/orders/products');
    const again = await tab.get('/api/orders/products', { 'if-none-match': String(list.headers.etag) });

    expect(unknown.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(unknown).toMatchObject({ status: 404, body: { type: 'urn:twinbox:problem:order-not-found' } });
    expect(unknown.body.instance).toBe(`urn:request:${String(unknown.headers['x-request-id'])}`);
    expect([list.status, again.status]).toEqual([200, list.headers.etag === undefined ? 200 : 304]);
  });

  it.each([
    ['POST', '/api/payments/webhooks/payments'],
    ['POST', '/api/orders/orders/events/tickets'],
    ['GET', '/api/orders/metrics'],
    ['GET', '/api/orders/docs'],
    ['GET', '/api/orders/openapi.json'],
    ['DELETE', '/api/orders/orders'],
    ['GET', '/api/other/orders'],
    ['GET', '/api/orders/orders/%2e%2e'],
    ['GET', '/api/orders/orders/..%2fmetrics/timeline/..'],
  ])('P10 does not forward %s %s', async (method, path) => {
    await as('admin');

    const answer = await tab.send(method, path);

    expect(answer).toMatchObject({ status: 404, body: { type: 'urn:twinbox:problem:not-found' } });
  });

  it('P10 answers nothing without a session', async () => {
    const answers = [
      await tab.get('/api/orders/products'),
      await tab.get('/api/orders/orders/events'),
      await tab.post('/api/orders/orders', {}),
      await tab.post('/demo/orders'),
    ];

    expect(answers.map(({ status, body }) => [status, body.type])).toEqual(
      answers.map(() => [401, 'urn:twinbox:problem:session-ended']),
    );
  });

  it.each([
    ['another site', { origin: 'https://evil.example' }],
    ['another port of the host', { origin: 'http://localhost:1' }],
    ['a sandboxed page', { origin: 'null' }],
    ['something that is not a page', { origin: '' }],
  ])('P10 refuses a change by %s', async (_, headers) => {
    await as('demo');

    const change = await tab.post('/api/orders/orders', {}, headers);
    const signOut = await tab.send('DELETE', '/session', { headers });

    expect([change.status, signOut.status]).toEqual([403, 403]);
    expect((await tab.get('/session')).body.signedIn).toBe(true);
  });

  it('P10 refuses to let another site read data, and requests for another host', async () => {
    await as('demo');

    const read = await tab.get('/api/orders/products', { 'sec-fetch-site': 'same-site' });
    const escaped = await tab.get('/%61pi/orders/products', { 'sec-fetch-site': 'cross-site' });
    const page = await tab.get('/payments', { 'sec-fetch-site': 'cross-site' });
    const rebound = await tab.get('/session', { host: 'evil.example' });

    expect([read.status, escaped.status, page.status, rebound.status]).toEqual([403, 403, 200, 421]);
  });

  it('P10 serves the page of every view under a strict policy with a nonce of its own', async () => {
    const [one, other] = [await tab.get('/payments/1?status=PENDING'), await tab.get('/')];
    const script = await tab.get('/assets/a-1.js');
    const missing = await tab.get('/assets/a-2.js');

    const nonces = [one, other].map(({ body }) => /nonce="([^"]+)"/.exec(body)?.[1]);
    expect(new Set(nonces).size).toBe(2);
    const policy = String(one.headers['content-security-policy']);
    expect(policy).toContain(`style-src 'self' 'nonce-${nonces[0]}'`);
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(one.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    expect(script.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    expect(missing.status).toBe(404);
  });

  it('counts all reports of violations, and logs some of them without queries', async () => {
    const report = { 'csp-report': { 'blocked-uri': 'inline', 'document-uri': 'http://localhost/a?secret=1' } };
    const type = { 'content-type': 'application/csp-report', origin: 'null' };
    for (let n = 0; n < 30; n++) expect((await tab.post('/csp-reports', report, type)).status).toBe(204);

    const { body } = await tab.get('/metrics');
    const large = await tab.post('/csp-reports', { more: 'x'.repeat(20_000) }, type);

    expect(body).toContain('console_csp_reports_total 30');
    expect(shown.log().match(/reports a violation/g)).toHaveLength(20);
    expect(shown.log()).not.toContain('secret=1');
    expect(large.status).toBe(413);
  });

  it('passes on an event stream as it arrives, and ends it with the session', async () => {
    await as('ops');
    const stream = await tab.stream('/api/orders/orders/events');
    expect(stream.status).toBe(200);
    const customer = shown.tab();
    await customer.post('/session', { userId: 'demo' });

    const { body } = await customer.post('/api/orders/orders', { items: [{ productId: 'tea', quantity: 1 }] });
    await until('the event arrives', () => stream.text().includes(body.id));
    const { body: signedOut } = await tab.send('DELETE', '/session');
    await stream.ended;

    expect(signedOut).toEqual({ next: '/sign-in' });
    expect((await tab.get('/session')).body.signedIn).toBe(false);
  });

  it('answers 502 while a service is away, and the other one still works', async () => {
    await as('ops');

    const away = await tab.get('/api/payments/payment-requests');
    const change = await tab.post('/api/payments/payment-requests/01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d/succeed', {});
    const ready = await tab.get('/health/ready');

    for (const answer of [away, change])
      expect(answer).toMatchObject({ status: 502, body: { type: 'urn:twinbox:problem:service-unreachable' } });
    expect(away.body.detail).toContain('payment-service');
    expect(ready.status).toBe(200);
    expect((await tab.get('/api/orders/products')).status).toBe(200);
  });

  it('places a bounded number of demo orders, one run at a time', async () => {
    await as('demo');
    const tooMany = await tab.post('/demo/orders', { count: 51 });

    const [one, other] = await Promise.all([
      tab.post('/demo/orders', { count: 10 }),
      tab.post('/demo/orders', { count: 10 }),
    ]);
    const progress = await until('the run has ended', async () => {
      const { body } = await tab.get('/demo/orders');
      return !body.running && body;
    });

    expect(tooMany.status).toBe(400);
    expect(new Set([one.status, other.status])).toEqual(new Set([202, 409]));
    expect(progress).toEqual({ running: false, requested: 10, placed: 10, failed: 0 });
  });

  it('ends an idle session, which a page that polls by itself does not prolong, and its streams', async () => {
    const short = await aConsole({ SESSION_IDLE: '1500ms' });
    const [idle, busy] = [short.tab(), short.tab()];
    for (const one of [idle, busy]) await one.post('/session', { userId: 'demo' });
    const stream = await idle.stream('/api/orders/orders/events');

    const start = performance.now();
    while (performance.now() - start < 2000) {
      await idle.get('/api/orders/products', { 'x-user-idle': '1' });
      await busy.get('/api/orders/products');
      await sleep(100);
    }
    await stream.ended;

    expect((await idle.get('/session')).body.signedIn).toBe(false);
    expect((await busy.get('/session')).body.signedIn).toBe(true);
  });

  it('ends a session after its lifetime, and the least used one if there are too many', async () => {
    const short = await aConsole({ SESSION_LIFETIME: '2s', MAX_SESSIONS: '2', DEMO: 'off' });
    const tabs = [short.tab(), short.tab(), short.tab()] as const;
    for (const one of tabs) await one.post('/session', { userId: 'demo' });
    const signedIn = async () => Promise.all(tabs.map(async (one) => (await one.get('/session')).body.signedIn));

    expect(await signedIn()).toEqual([false, true, true]);
    await until('both have ended', async () => {
      for (const one of tabs) await one.get('/api/orders/products');
      return !(await signedIn()).includes(true);
    });
    expect((await tabs[1].post('/demo/orders')).status).toBe(404);
  });
});

describe('in front of any service', () => {
  let upstream: Server;
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let address: string;
  let tab: Tab;

  beforeAll(async () => {
    upstream = createServer((request, response) => answer(request, response));
    await once(upstream.listen(0, '127.0.0.1'), 'listening');
    address = urlOf(upstream);
    const shown = await aConsole({ ORDERS_URL: `${address}/behind`, SERVICE_TIMEOUT: '300ms', MAX_STREAMS: '1' });
    tab = shown.tab();
    await tab.post('/session', { userId: 'demo' });
  });
  afterAll(() => {
    upstream.closeAllConnections();
    upstream.close();
  });

  it('P10 passes on known headers only, in both directions', async () => {
    let seen: IncomingMessage | undefined;
    answer = (request, response) => {
      seen = request;
      response.writeHead(200, { etag: '"1"', 'set-cookie': 'a=b', 'x-powered-by': 'y', server: 'z' }).end('{}');
    };

    const { headers } = await tab.get('/api/orders/products/a%2Fb?cursor=%2F', {
      accept: 'application/json',
      'if-none-match': '"1"',
      'x-forwarded-for': '1.2.3.4',
      'proxy-authorization': 'x',
      connection: 'keep-alive',
    });

    expect(seen?.url).toBe('/behind/products/a%2Fb?cursor=%2F');
    expect(seen?.headers).toEqual({
      accept: 'application/json',
      connection: 'keep-alive',
      host: expect.any(String),
      'if-none-match': '"1"',
      'x-request-id': expect.any(String),
      'x-roles': 'customer',
      'x-user-id': 'demo',
    });
    expect(headers.etag).toBe('"1"');
    for (const name of ['set-cookie', 'x-powered-by', 'server']) expect(headers[name]).toBeUndefined();
  });

  it('answers 504 if the service takes too long', async () => {
    answer = () => undefined;

    expect(await tab.get('/api/orders/products')).toMatchObject({
      status: 504,
      body: { type: 'urn:twinbox:problem:service-timeout' },
    });
  });

  it('ends the request to the service when the browser has gone, also before its answer', async () => {
    const gone = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    answer = (request) => {
      request.socket.once('close', gone.resolve);
      arrived.resolve();
    };
    const leaving = new AbortController();

    const request = tab.send('GET', '/api/orders/products', { signal: leaving.signal }).catch(() => undefined);
    await arrived.promise;
    leaving.abort();

    await Promise.all([request, gone.promise]);
  });

  it('P10 ends the session if the service does not accept its credentials', async () => {
    answer = (_, response) => response.writeHead(401, { 'www-authenticate': 'Bearer' }).end('{}');
    const refused = tab.copy();
    await refused.post('/session', { userId: 'demo' });

    const { status, body, headers } = await refused.get('/api/orders/products');

    expect([status, body.type]).toEqual([401, 'urn:twinbox:problem:session-ended']);
    expect(headers['www-authenticate']).toBeUndefined();
    expect((await refused.get('/session')).body.signedIn).toBe(false);
  });

  it('P8 finishes requests in flight when it shuts down', async () => {
    const arrived = Promise.withResolvers<ServerResponse>();
    answer = (_, response) => arrived.resolve(response);
    const stopping = await startConsole({ ORDERS_URL: address });
    const user = stopping.tab();
    await user.post('/session', { userId: 'demo' });

    const request = user.post('/api/orders/orders', {});
    const response = await arrived.promise;
    const stopped = stopping.stop();
    response.writeHead(201, { 'content-type': 'application/json' }).end('{"id":1}');

    expect(await request).toMatchObject({ status: 201, body: { id: 1 } });
    await stopped;
  });

  it('P7 lets a session have a bounded number of event streams, and ends them when the service does', async () => {
    let response: ServerResponse | undefined;
    answer = (_, opened) => {
      response = opened;
      opened.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    };

    const first = await tab.stream('/api/orders/orders/events');
    const second = await tab.get('/api/orders/orders/events');
    response?.write('data: 1\n\n');
    await until('the event arrives', () => first.text() === 'data: 1\n\n');
    response?.destroy();
    await first.ended;

    expect(second.status).toBe(429);
    await until('there is room again', async () => (await tab.stream('/api/orders/orders/events')).status === 200);
  });
});

describe('as a process', () => {
  /** Starts the built server. */
  function start(env: Record<string, string>) {
    const child = spawn(process.execPath, [join(root, 'apps/console/dist/server/main.js')], {
      env: { PATH: process.env['PATH'], LOG_FORMAT: 'json', ...env },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
    return { child, output: () => output, exited: once(child, 'close').then(() => child.exitCode) };
  }

  it('P8 ends its event streams and exits at SIGTERM, and names a port that is in use', async () => {
    const port = String(await freePort());
    const first = start({ PORT: port, ORDERS_URL: trusting.url });
    await until('it listens', () => first.output().includes('Listening on'));
    const tab = new Tab(`http://localhost:${port}`);
    await tab.post('/session', { userId: 'ops' });
    const stream = await tab.stream('/api/orders/orders/events');
    const second = start({ PORT: port });

    expect(await second.exited).toBe(1);
    const began = performance.now();
    first.child.kill('SIGTERM');
    await stream.ended;

    expect(await first.exited).toBe(0);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(stream.status).toBe(200);
    expect(second.output()).toMatch(/^console cannot start: port \d+ on 127.0.0.1 is in use.*PORT/m);
    expect(first.output()).toContain('AUTH_MODE=dev: anyone who can reach');
  });

  it('names every wrong variable', async () => {
    const wrong = start({ PORT: 'x', DEMO: 'on', NODE_ENV: 'production' });

    expect(await wrong.exited).toBe(1);
    for (const text of ['console cannot start:', 'PORT="x"', 'DEMO="on"', 'AUTH_MODE="dev"'])
      expect(wrong.output()).toContain(text);
  });
});

describe('with AUTH_MODE=jwt', () => {
  let shown: RunningConsole;
  /** A service that accepts every token. */
  const accepting = createServer((_, response) => response.end('{}'));
  const env = () => ({
    AUTH_MODE: 'jwt',
    ORDERS_URL: strict.url,
    OIDC_ISSUER: provider.issuer,
    PUBLIC_URL: `http://localhost:${signedInPort}`,
    MANAGEMENT_PORT: '0',
  });

  beforeAll(async () => {
    await once(accepting.listen(0, '127.0.0.1'), 'listening');
    shown = await aConsole(env(), signedInPort);
  });
  afterAll(() => {
    accepting.closeAllConnections();
    accepting.close();
  });

  it('P10 signs a user in at the provider, and returns to the view that they wanted', async () => {
    const tab = shown.tab();
    expect((await tab.get('/session')).body).toEqual({ mode: 'jwt', demo: false, signedIn: false });

    const arrived = await signIn(tab, 'ops', '/payments?status=PENDING');

    expect(arrived).toBe(`${shown.url}/payments?status=PENDING`);
    const { body } = await tab.get('/session');
    expect(body).toEqual({
      mode: 'jwt',
      demo: false,
      signedIn: true,
      user: { id: 'ops', name: 'ops', roles: ['operator'] },
    });
    expect((await tab.get('/api/orders/orders')).status).toBe(200);
    expect((await tab.get('/api/orders/admin/messaging')).status).toBe(200);
    expect((await tab.post('/session', { userId: 'admin' })).status).toBe(404);
  });

  it('P10 asks for a code with PKCE, a state and a nonce, and keeps them in an opaque cookie', async () => {
    const tab = shown.tab();

    const { status, headers } = await tab.get('/sign-in/start?next=/orders');

    const url = new URL(String(headers.location));
    expect(status).toBe(302);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      redirect_uri: `${shown.url}/sign-in/callback`,
      state: expect.stringMatching(/^.{40,}$/),
      nonce: expect.stringMatching(/^.{40,}$/),
    });
    expect(headers['set-cookie']).toMatch(/HttpOnly; SameSite=Lax/);
    expect(headers['set-cookie']).not.toContain(url.searchParams.get('state'));
  });

  it('P10 refuses an answer of the provider that is forged, belongs to another browser, or is used twice', async () => {
    const [victim, attacker] = [shown.tab(), shown.tab()];
    const page = await follow(attacker, '/sign-in/start');
    const form = new URLSearchParams({ user: 'ops', password: 'ops' });
    const { headers } = await attacker.send('POST', page.url, { body: form });
    const resumed = await attacker.get(new URL(String(headers.location), page.url).href);
    const callback = String(resumed.headers.location);
    const used = `${shown.url}/sign-in/callback?code=x&state=y`;

    await victim.get('/sign-in/start');
    const stolen = await victim.get(callback);
    await victim.get('/sign-in/start?next=/orders');
    const forged = await victim.get(used);
    await attacker.get(callback);
    const twice = await attacker.get(callback);

    expect(callback).toContain('/sign-in/callback?code=');
    expect(stolen.headers.location).toBe('/sign-in?error=sign_in_failed&next=%2F');
    expect(forged.headers.location).toBe('/sign-in?error=sign_in_failed&next=%2Forders');
    expect(twice.headers.location).toBe('/sign-in?error=sign_in_expired&next=%2F');
    expect((await victim.get('/session')).body.signedIn).toBe(false);
  });

  it('P10 renews the access token once for all requests of a session, and ends its streams with the old token', async () => {
    const tab = shown.tab();
    await signIn(tab, 'demo');
    const stream = await tab.stream('/api/orders/orders/events');

    // Longer than a token is valid. The provider accepts each refresh token once, and ends the session of a user who sends one twice.
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(Array.from({ length: 8 }, () => tab.get('/api/orders/orders')));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      await sleep(800);
    }
    await stream.ended;
    const reopened = await tab.stream('/api/orders/orders/events');

    expect(reopened.status).toBe(200);
    await tab.send('DELETE', '/session');
    await reopened.ended;
  });

  it('P10 ends the session at the provider too, and shows no token to scripts or in the log', async () => {
    const tab = shown.tab();
    await signIn(tab, 'ops');

    const { body } = await tab.send('DELETE', '/session');
    const leaving = await tab.get(body.next);
    const again = await tab.get(body.next);
    const confirmation = await follow(tab, String(leaving.headers.location));
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(confirmation.body)?.[1] ?? '';
    const action = /action="([^"]+)"/.exec(confirmation.body)?.[1] ?? '';
    const confirmed = await tab.send('POST', action, { body: new URLSearchParams({ xsrf, logout: 'yes' }) });

    expect(body.next).toMatch(/^\/sign-out\?ticket=/);
    expect(leaving.headers.location).toContain('id_token_hint=ey');
    expect(again.headers.location).toBe('/sign-in');
    expect(confirmed.headers.location).toBe(`${shown.url}/sign-in`);
    // The provider asks for the password again.
    expect((await follow(tab, '/sign-in/start')).url).toContain('/interaction/');
    expect(shown.log()).not.toMatch(/eyJ|code=|ticket=|twinbox-console-session=/);
  });

  it('P10 asks to sign in again after a restart', async () => {
    const tab = shown.tab();
    await signIn(tab, 'ops');
    await shown.stop();
    consoles.splice(consoles.indexOf(shown), 1);
    shown = await aConsole(env(), signedInPort);

    const ended = await tab.get('/api/orders/orders');
    // The provider still knows the user.
    const arrived = await signIn(tab, 'ops', '/orders/1');

    expect(ended).toMatchObject({ status: 401, body: { type: 'urn:twinbox:problem:session-ended' } });
    expect(arrived).toBe(`${shown.url}/orders/1`);
  });

  it('serves metrics on their own port only', async () => {
    const tab = shown.tab();

    expect((await tab.get('/metrics')).status).toBe(404);
    expect((await fetch(`${shown.management}/metrics`)).status).toBe(200);
  });

  it('P10 ends a session with its token if that cannot be renewed, but not while the provider is away', async () => {
    const [withoutRefresh, restarted] = await Promise.all([anotherProvider(false), anotherProvider(true)]);
    const [first, second] = [withoutRefresh.shown.tab(), restarted.shown.tab()];
    await Promise.all([signIn(first, 'demo'), signIn(second, 'demo')]);
    await restarted.provider.stop();

    const away = await until('its token has expired', async () => {
      const { status, body } = await second.get('/api/orders/products');
      return status !== 200 && body;
    });
    await until('the session has ended', async () => !(await first.get('/session')).body.signedIn);
    const again = await restarted.start();
    const refused = await until('the provider is asked', async () => {
      const { status, body } = await second.get('/api/orders/products');
      return status !== 503 && body;
    });
    await Promise.all([again.stop(), withoutRefresh.provider.stop()]);

    expect(away.type).toBe('urn:twinbox:problem:provider-unavailable');
    expect(refused.type).toBe('urn:twinbox:problem:session-ended');
  });

  /** Starts a provider with short tokens, and a console that uses it. */
  async function anotherProvider(refreshTokens: boolean) {
    const [port, consolePort] = [await freePort(), await freePort()];
    const url = `http://localhost:${consolePort}`;
    const issuer = `http://localhost:${port}`;
    const start = () => startIdentityProvider({ issuer, port, consoles: [url], tokenSeconds: 2, refreshTokens });
    const other = { ...env(), ORDERS_URL: urlOf(accepting), OIDC_ISSUER: issuer, PUBLIC_URL: url, MANAGEMENT_PORT: '' };
    return { start, provider: await start(), shown: await aConsole(other, consolePort) };
  }

  it('sends a browser at 127.0.0.1 to the address that the provider knows', async () => {
    const tab = new Tab(shown.url.replace('localhost', '127.0.0.1'));

    const { headers } = await tab.get('/sign-in/start?next=/orders');

    expect(headers.location).toBe(`${shown.url}/sign-in/start?next=%2Forders`);
  });

  it('P10 sends cookies over TLS only if it is opened with https', async () => {
    const https = await aConsole({ PUBLIC_URL: 'https://console.example' });

    const { headers } = await https.tab().post('/session', { userId: 'demo' }, { origin: 'https://console.example' });

    expect(headers['set-cookie']).toMatch(
      /^__Host-twinbox-console-session=\S+; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    );
  });

  it('reaches the provider at another address than browsers do', async () => {
    const port = await freePort();
    const issuer = 'http://login.example:8090';
    const inside = await startIdentityProvider({ issuer, port, consoles: [shown.url] });
    const outside = { ...env(), OIDC_ISSUER: issuer, OIDC_CONNECT_TO: `127.0.0.1:${port}`, MANAGEMENT_PORT: '' };
    const { headers } = await (await aConsole(outside)).tab().get('/sign-in/start', { host: new URL(shown.url).host });
    await inside.stop();

    expect(headers.location).toMatch(/^http:\/\/login\.example:8090\/auth\?/);
  });

  it('reports that the provider cannot be reached', async () => {
    const away = await aConsole({ ...env(), OIDC_ISSUER: NOWHERE, MANAGEMENT_PORT: '' });

    const { headers } = await away.tab().get('/sign-in/start?next=/orders', { host: `localhost:${signedInPort}` });

    expect(headers.location).toBe('/sign-in?error=provider_unavailable&next=%2Forders');
  });
});
