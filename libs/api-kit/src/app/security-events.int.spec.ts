import { Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { until } from '@twinbox/messaging/testing';
import { InProcessConfig } from '../../test/in-process-config.js';
import { createApp, loadConfig, loggerModule, RequireRole } from '../index.js';
import { TokenIssuer } from '../testing/index.js';

@Controller('things')
class ThingsController {
  @Get(':id')
  thing() {
    return {};
  }

  @Get(':id/secrets')
  @RequireRole('operator')
  secrets() {
    return {};
  }
}

class Config extends InProcessConfig {
  override PORT = 0;
}

const lines: string[] = [];

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'info', LOG_FORMAT: 'json' }, 'x', { write: (line) => void lines.push(line) })],
  controllers: [ThingsController],
})
class ThingsModule {}

let issuer: TokenIssuer;
let app: NestFastifyApplication;
let url: string;

beforeAll(async () => {
  issuer = await TokenIssuer.start();
  const needed = { DATABASE_URL: 'postgres://a@127.0.0.1:1/a', KAFKA_BROKERS: '127.0.0.1:1' };
  const limits = { RATE_LIMIT_READS: '60/h', TRUST_PROXY: '127.0.0.1' };
  // Without an API, no tokens would be verified.
  const info = { title: 'Things', description: 'Things.', version: '1' };
  app = await createApp(ThingsModule, loadConfig(Config, { ...needed, ...issuer.env, ...limits }), info);
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});
afterAll(async () => {
  await app.close();
  await issuer.stop();
});

async function get(path: string, address: string, token?: string): Promise<number> {
  const headers = { 'x-forwarded-for': address, 'x-request-id': `${address}-id` };
  const answer = await fetch(url + path, {
    headers: { ...headers, ...(token && { authorization: `Bearer ${token}` }) },
  });
  return answer.status;
}

interface Line {
  readonly event?: string;
  readonly count: number;
  readonly address: string;
}

/** Waits until the log has this many events of requests from the address. */
async function eventsOf(address: string, count: number): Promise<Line[]> {
  return await until('the events are logged', () => {
    const found = lines
      .map((line) => JSON.parse(line) as Line)
      .filter((line) => line.event && line.address === address);
    return found.reduce((sum, line) => sum + line.count, 0) >= count ? found : undefined;
  });
}

describe('a security event', () => {
  it('P10 is a refused token, with its reason but without the token', async () => {
    const token = await issuer.token({ claims: { sub: 'eve' }, forged: true });

    expect(await get('/things/7', '192.0.2.1', token)).toBe(401);

    expect(await eventsOf('192.0.2.1', 1)).toEqual([
      expect.objectContaining({
        level: 'warn',
        event: 'login-refused',
        reason: 'The signature of the token is not valid.',
        method: 'GET',
        route: '/things/:id',
        requestId: '192.0.2.1-id',
        count: 1,
      }),
    ]);
    for (const part of token.split('.')) expect(lines.join('')).not.toContain(part);
  });

  it('P10 is a missing role, with the user', async () => {
    expect(await get('/things/7/secrets', '192.0.2.2', await issuer.token())).toBe(403);

    expect(await eventsOf('192.0.2.2', 1)).toEqual([
      expect.objectContaining({
        event: 'role-refused',
        reason: 'This requires the role operator.',
        userId: 'ada',
        route: '/things/:id/secrets',
      }),
    ]);
  });

  it('P10 is a 429, and a flood of them takes a line a second', async () => {
    const begin = performance.now();
    const statuses = await Promise.all(Array.from({ length: 120 }, () => get('/things/7', '192.0.2.3')));

    expect(statuses.filter((status) => status === 429)).toHaveLength(60);
    const events = await eventsOf('192.0.2.3', 60);
    expect(events.length).toBeLessThanOrEqual((performance.now() - begin) / 1000 + 2);
    expect(events[0]).toMatchObject({ event: 'rate-limited', reason: 'The limit is 60 reads per hour.' });
    expect(events.reduce((sum, { count }) => sum + count, 0)).toBe(60);
  });

  it('is not a request without a token', async () => {
    expect(await get('/things/7', '192.0.2.4')).toBe(401);
    const token = await issuer.token({ expiresIn: -3600 });
    expect(await get('/things/7', '192.0.2.4', token)).toBe(401);

    const [event, ...others] = await eventsOf('192.0.2.4', 1);
    expect(event).toMatchObject({ reason: 'The token has expired.', count: 1 });
    expect(others).toEqual([]);
  });
});
