import { randomUUID } from 'node:crypto';
import { credentials, type ServiceError, status as codes } from '@grpc/grpc-js';
import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ServerReflectionClient, ServerReflectionRequest } from '@twinbox/contracts/grpc/reflection';
import { until } from '@twinbox/messaging/testing';
import { InProcessConfig } from '../../test/in-process-config.js';
import { listenWithThings, type ThingClient, ThingModule } from '../../test/thing-service.js';
import { createApp, loadConfig, loggerModule, MetricsModule } from '../index.js';
import { TokenIssuer } from '../testing/index.js';

class Config extends InProcessConfig {
  override PORT = 0;
}

const lines: string[] = [];

@Module({
  imports: [
    loggerModule({ LOG_LEVEL: 'info', LOG_FORMAT: 'json' }, 'things', { write: (line) => void lines.push(line) }),
    MetricsModule.forRoot({ sources: [] }),
    ThingModule,
  ],
})
class AppModule {}

const info = { title: 'Things', description: 'Things.', version: '1' };
const GET_THING = '/test.v1.ThingService/GetThing';

let issuer: TokenIssuer;
let app: NestFastifyApplication;
let client: ThingClient;

beforeAll(async () => {
  issuer = await TokenIssuer.start();
  app = await createApp(
    AppModule,
    loadConfig(Config, {
      DATABASE_URL: 'postgres://a@127.0.0.1:1/a',
      KAFKA_BROKERS: '127.0.0.1:1',
      ...issuer.env,
      GRPC_PORT: '0',
      DOCS: 'off',
      TRUST_PROXY: '127.0.0.1,10.0.0.0/8',
      // Per hour, so that no test outlasts the window.
      RATE_LIMIT_STREAMS: '2/h',
      RATE_LIMIT_REFUSED_LOGINS: '2/h',
    }),
    info,
  );
  client = await listenWithThings(app);
  const admin = await asUser('admin', 'admin');
  await until('the keys of tokens are loaded', async () => (await client.getThing(admin)).status === 'OK');
});
afterAll(async () => {
  client.close();
  await app.close();
  await issuer.stop();
});

async function asUser(userId: string, role = 'customer'): Promise<Record<string, string>> {
  return { authorization: `Bearer ${await issuer.token({ claims: { sub: userId, roles: [role] } })}` };
}

interface Line {
  readonly event?: string;
  readonly address?: string;
  readonly requestId?: string;
}

/** Waits until the log has a line like this. */
async function logged(isSought: (line: Line) => boolean): Promise<Line> {
  return await until('the line is logged', () => lines.map((line) => JSON.parse(line) as Line).find(isSought));
}

describe('a gRPC call', () => {
  it('P9 has one line in the log, with its method, status, duration and request id', async () => {
    await client.getThing({ ...(await asUser('ada')), 'x-request-id': 'r-log' });

    await logged(({ requestId }) => requestId === 'r-log');
    const found = lines.filter((line) => line.includes('"r-log"'));
    expect(found).toHaveLength(1);
    expect(JSON.parse(found[0] ?? '')).toMatchObject({
      level: 'info',
      method: 'gRPC',
      url: GET_THING,
      status: 'OK',
      address: '127.0.0.1',
      durationMs: expect.any(Number),
    });
  });

  it('P9 is counted by its method and status, and a stream when it ends', async () => {
    const scrape = async () => {
      const headers = await asUser('olga', 'operator');
      const text = await (await fetch(`${await app.getUrl()}/metrics`, { headers })).text();
      const count = (method: string, status: string) =>
        Number(
          new RegExp(
            `^grpc_request_duration_seconds_count\\{method="/test.v1.ThingService/${method}",status="${status}"\\} (\\d+)$`,
            'm',
          ).exec(text)?.[1] ?? 0,
        );
      return [count('GetThing', 'OK'), count('GetThing', 'UNAUTHENTICATED'), count('WatchThings', 'OK')];
    };
    const before = await scrape();

    await client.getThing(await asUser('ada'));
    await client.getThing(await asUser('ada'));
    await client.getThing();
    await client.watchThings(await asUser('grace'));

    const after = await scrape();
    expect(after.map((count, index) => count - (before[index] ?? 0))).toEqual([2, 1, 1]);
  });

  it.each([
    ['the last one that a trusted proxy has seen', '198.51.100.1, 192.0.2.7, 10.1.2.3', '192.0.2.7'],
    ['that of the connection if no proxy has named one', undefined, '127.0.0.1'],
    ['that of the connection if the proxy has not named an address', 'unknown', '127.0.0.1'],
  ])('P10 comes from an address that is %s', async (_, forwardedFor, address) => {
    const requestId = randomUUID();

    await client.getThing({ 'x-request-id': requestId, ...(forwardedFor && { 'x-forwarded-for': forwardedFor }) });

    expect(await logged((line) => line.requestId === requestId)).toMatchObject({ address });
  });
});

describe('limits on gRPC calls', () => {
  it('P10 streams have a budget of their own', async () => {
    const grace = await asUser('grace hopper');

    const streams = [await client.watchThings(grace), await client.watchThings(grace), await client.watchThings(grace)];
    const others = [await client.getThing(grace), await client.watchThings(await asUser('barbara'))];

    expect(streams.map(({ status }) => status)).toEqual(['OK', 'OK', 'RESOURCE_EXHAUSTED']);
    expect(streams[2]).toMatchObject({
      reason: 'too-many-requests',
      message: expect.stringMatching(/^The limit is 2 opened streams per hour\./),
    });
    expect(streams[2]?.retryAfter).toBeGreaterThan(3500);
    expect(others.map(({ status }) => status)).toEqual(['OK', 'OK']);
  });

  it('P10 refused tokens use up a budget of their address, and are security events', async () => {
    const from = (headers: Record<string, string>) => client.getThing({ ...headers, 'x-forwarded-for': '192.0.2.1' });
    const forged = { authorization: `Bearer ${await issuer.token({ forged: true })}` };

    const refused = [await from(forged), await from(forged), await from(forged)];
    const valid = await from(await asUser('ada'));
    const elsewhere = await client.getThing({ ...forged, 'x-forwarded-for': '192.0.2.2' });

    expect(refused.map(({ status, reason }) => [status, reason])).toEqual([
      ['UNAUTHENTICATED', 'caller-unknown'],
      ['UNAUTHENTICATED', 'caller-unknown'],
      ['RESOURCE_EXHAUSTED', 'too-many-requests'],
    ]);
    expect([valid.status, elsewhere.status]).toEqual(['OK', 'UNAUTHENTICATED']);
    const event = await logged((line) => line.event === 'login-refused');
    expect(event).toMatchObject({
      level: 'warn',
      reason: 'The signature of the token is not valid.',
      method: 'gRPC',
      route: GET_THING,
      address: '192.0.2.1',
    });
    expect(await logged((line) => line.event === 'rate-limited' && line.address === '192.0.2.1')).toMatchObject({
      reason: 'The limit is 2 refused logins per hour.',
    });
    for (const part of forged.authorization.split(' ')[1]?.split('.') ?? []) expect(lines.join('')).not.toContain(part);
  });
});

describe('DOCS=off', () => {
  it('P10 removes reflection', async () => {
    const reflection = new ServerReflectionClient(client.address, credentials.createInsecure());
    const call = reflection.serverReflectionInfo();

    const error = await new Promise<ServiceError>((resolve) => {
      call.once('error', resolve);
      call.write(ServerReflectionRequest.fromPartial({ listServices: '' }));
    });
    reflection.close();

    expect(codes[error.code]).toBe('UNIMPLEMENTED');
  });
});
