import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { Controller, Get, Global, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  createApp,
  databaseModule,
  HealthModule,
  loadConfig,
  loggerModule,
  MessagingProbe,
  MetricsModule,
  openApiDocument,
  ServiceConfig,
} from '../index.js';
import { TokenIssuer } from '../testing/index.js';
import { listenForManagement } from './management.js';

const DATABASE_URL = 'postgres://a@127.0.0.1:1/a';
const NEEDED = { DATABASE_URL, KAFKA_BROKERS: '127.0.0.1:1' };

class Config extends ServiceConfig {
  override PORT = 0;
}

class Probe extends MessagingProbe {
  check() {
    return { healthy: true, components: { relay: { healthy: true, problem: 'Kafka at broker-1 refuses user kim' } } };
  }
}

@Controller('parcels')
class ParcelsController {
  @Get()
  all(): string[] {
    return [];
  }
}

@Global()
@Module({ providers: [Probe], exports: [Probe] })
class ProbeModule {}

@Module({
  imports: [
    loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'parcels'),
    databaseModule({ url: DATABASE_URL, schema: 'a', applicationName: 'parcels' }),
    ProbeModule,
    HealthModule.forRoot({ messaging: Probe }),
    MetricsModule.forRoot({ sources: [] }),
  ],
  controllers: [ParcelsController],
})
class AppModule {}

const info = { title: 'Parcels', description: 'Parcels.', version: '1' };
const FOR_OPERATORS = ['/metrics', '/health', '/health/messaging'];
/** There is no database. */
const STATUSES = [200, 503, 200];

let issuer: TokenIssuer;
let app: NestFastifyApplication;
let publicUrl: string;
let managementUrl: string;

async function start(env: Record<string, string>, { hasApi = true } = {}): Promise<void> {
  const config = loadConfig(Config, { ...NEEDED, ...env });
  app = await createApp(AppModule, config, hasApi ? info : undefined);
  await app.listen(0, '127.0.0.1');
  publicUrl = await app.getUrl();
  if (config.MANAGEMENT_PORT === undefined) return;
  const server = await listenForManagement(app.getHttpAdapter().getInstance(), 0, '127.0.0.1');
  managementUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function get(url: string, { method = 'GET', headers = {} }: RequestInit = {}) {
  const response = await fetch(url, { method, headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const statusesOf = async (paths: readonly string[], url: string, init?: RequestInit) =>
  await Promise.all(paths.map(async (path) => (await get(url + path, init)).status));
const bearer = async (role: string) => ({
  headers: { authorization: `Bearer ${await issuer.token({ claims: { roles: [role] } })}` },
});

beforeAll(async () => {
  issuer = await TokenIssuer.start();
});
afterAll(() => issuer.stop());
afterEach(() => app.close());

describe('without MANAGEMENT_PORT', () => {
  it('P10 AUTH_MODE=jwt shows metrics and the details of health to operators and admins only', async () => {
    await start(issuer.env);

    expect(await statusesOf(FOR_OPERATORS, publicUrl)).toEqual([401, 401, 401]);
    expect(await statusesOf(FOR_OPERATORS, publicUrl, await bearer('customer'))).toEqual([403, 403, 403]);
    expect(await statusesOf(FOR_OPERATORS, publicUrl, await bearer('operator'))).toEqual(STATUSES);
    expect(await statusesOf(FOR_OPERATORS, publicUrl, await bearer('admin'))).toEqual(STATUSES);
  });

  it('AUTH_MODE=dev shows them to anyone', async () => {
    await start({});

    expect(await statusesOf(FOR_OPERATORS, publicUrl)).toEqual(STATUSES);
  });

  it('P10 a process without an API serves them nowhere, and needs no keys to be ready', async () => {
    const { requests } = issuer;
    await start(issuer.env, { hasApi: false });

    expect(await statusesOf(FOR_OPERATORS, publicUrl, await bearer('admin'))).toEqual([404, 404, 404]);
    expect((await get(`${publicUrl}/health/live`)).status).toBe(200);
    expect(issuer.requests).toBe(requests);
  });
});

describe('with MANAGEMENT_PORT', () => {
  describe.each(['dev', 'jwt'])('and AUTH_MODE=%s', (mode) => {
    beforeEach(() => start({ ...(mode === 'jwt' && issuer.env), MANAGEMENT_PORT: '0' }));

    it('P10 the public port answers 404 for them to anyone, with every method', async () => {
      for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS'])
        expect(await statusesOf(FOR_OPERATORS, publicUrl, { method })).toEqual([404, 404, 404]);
      expect(await statusesOf(FOR_OPERATORS, publicUrl, await bearer('admin'))).toEqual([404, 404, 404]);
      expect((await get(`${publicUrl}/%6detrics`)).status).toBe(404);
      expect(JSON.parse((await get(`${publicUrl}/metrics`)).text)).toMatchObject({
        type: 'urn:twinbox:problem:not-found',
        detail: 'Cannot GET /metrics',
      });
    });

    it('P9 the management port serves them and the probes without a token', async () => {
      expect(await statusesOf(FOR_OPERATORS, managementUrl)).toEqual(STATUSES);
      expect(await statusesOf(['/health/live', '/health/ready'], managementUrl)).toEqual([200, 503]);
      expect((await get(`${managementUrl}/health/messaging`)).text).toContain('broker-1 refuses user kim');
      expect((await get(`${managementUrl}/metrics`)).text).toContain('process_cpu_seconds_total');
    });

    it('P10 the management port serves nothing else', async () => {
      const others = ['/parcels', '/docs', '/openapi.json', '/nowhere'];

      expect(await statusesOf(others, managementUrl, await bearer('admin'))).toEqual([404, 404, 404, 404]);
      expect((await get(`${managementUrl}/metrics`, { method: 'POST' })).status).toBe(405);
      expect(await statusesOf(['/docs', '/openapi.json'], publicUrl)).toEqual([200, 200]);
    });
  });

  it('the OpenAPI document describes the public port only', async () => {
    await start({ MANAGEMENT_PORT: '0' });

    expect(Object.keys(openApiDocument(app, info).paths)).toEqual(['/parcels', '/health/live', '/health/ready']);
  });

  it('P8 the management port answers while the public one accepts no more connections', async () => {
    await start({ MANAGEMENT_PORT: '0', MAX_CONNECTIONS: '1' });
    const held = connect(Number(new URL(publicUrl).port), '127.0.0.1');
    await once(held, 'connect');

    expect((await get(`${managementUrl}/health/live`)).status).toBe(200);
    held.destroy();
  });

  it('P8 an application whose management port is in use closes without an error', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    app = await createApp(AppModule, loadConfig(Config, { ...NEEDED, MANAGEMENT_PORT: String(port) }), info);
    await app.listen(0, '127.0.0.1');

    const listening = listenForManagement(app.getHttpAdapter().getInstance(), port, '127.0.0.1');

    await expect(listening).rejects.toMatchObject({ code: 'EADDRINUSE' });
    other.close();
    // The hook after each test fails if the application cannot be closed.
  });

  it('bytes that are not HTTP get a 400 on the management port too', async () => {
    await start({ MANAGEMENT_PORT: '0' });
    const socket = connect(Number(new URL(managementUrl).port), '127.0.0.1').setEncoding('utf8');
    socket.write('nonsense\r\n\r\n');

    const [answer] = (await once(socket, 'data')) as [string];

    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
  });
});

it.each(['/health/live', '/health/ready'])('P10 shows no details at %s, even to operators', async (path) => {
  await start(issuer.env);

  for (const init of [undefined, await bearer('admin')])
    expect(Object.keys(JSON.parse((await get(publicUrl + path, init)).text) as object)).toEqual(['status']);
});

it('DOCS=off serves no documentation', async () => {
  await start({ DOCS: 'off' });

  expect(await statusesOf(['/docs', '/docs/swagger-ui.css', '/openapi.json'], publicUrl)).toEqual([404, 404, 404]);
  expect(await statusesOf(['/parcels'], publicUrl, { headers: { 'x-user-id': 'ada' } })).toEqual([200]);
});
