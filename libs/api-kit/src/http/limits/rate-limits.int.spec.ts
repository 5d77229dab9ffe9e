import { Controller, Get, HttpCode, Module, Post, Query, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { InProcessConfig } from '../../../test/in-process-config.js';
import {
  AcceptsTicket,
  AnonymousAllowed,
  ApiEventStream,
  createApp,
  loadConfig,
  loggerModule,
  openEventStream,
  Public,
  RawBody,
} from '../../index.js';
import { type TokenFields, TokenIssuer } from '../../testing/index.js';
import { ForOperators } from '../management.js';

@Controller()
class ThingsController {
  @Get('things')
  @AnonymousAllowed()
  things() {
    return {};
  }

  @Post('things')
  create() {
    return {};
  }

  @Get('events')
  @ApiEventStream('The events.', { data: {} })
  @AcceptsTicket()
  events(@Query() _: object, @Res() reply: FastifyReply) {
    openEventStream(reply).close();
  }

  @Post('hook')
  @Public()
  @HttpCode(200)
  hook(@RawBody() body: Buffer) {
    return { bytes: body.length };
  }

  @Get('health')
  @Public()
  health() {
    return {};
  }

  @Get('metrics')
  @ForOperators()
  metrics() {
    return {};
  }
}

class Config extends InProcessConfig {
  override PORT = 0;
}

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'things')],
  controllers: [ThingsController],
})
class ThingsModule {}

let issuer: TokenIssuer;
let app: NestFastifyApplication;

/** Per hour, so that no test outlasts the window. */
const LIMITS = {
  RATE_LIMIT_READS: '3/h',
  RATE_LIMIT_WRITES: '2/h',
  RATE_LIMIT_STREAMS: '1/h',
  RATE_LIMIT_WEBHOOKS: '2/h',
  RATE_LIMIT_REFUSED_LOGINS: '2/h',
};

async function start(limits: Record<string, string>): Promise<NestFastifyApplication> {
  const needed = { DATABASE_URL: 'postgres://a@127.0.0.1:1/a', KAFKA_BROKERS: '127.0.0.1:1' };
  // The test is the proxy, so each test has clients of its own.
  const env = { ...needed, ...issuer.env, ...limits, TRUST_PROXY: '127.0.0.1', CORS_ORIGINS: 'https://shop.example' };
  const started = await createApp(ThingsModule, loadConfig(Config, env), {
    title: 'Things',
    description: 'Things.',
    version: '1',
  });
  await started.listen(0, '127.0.0.1');
  return started;
}

beforeAll(async () => {
  issuer = await TokenIssuer.start();
  app = await start(LIMITS);
});
afterAll(async () => {
  await app.close();
  await issuer.stop();
});

interface Client {
  readonly address: string;
  readonly token?: string;
}

const send = async (method: string, path: string, { address, token }: Client, at = app) => {
  const response = await fetch(`${await at.getUrl()}${path}`, {
    method,
    headers: {
      'x-forwarded-for': address,
      origin: 'https://shop.example',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(method === 'POST' && { 'content-type': 'application/json' }),
    },
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
};

/** Sends the same request several times and returns the statuses. */
async function statuses(times: number, method: string, path: string, client: Client, at = app): Promise<number[]> {
  const found: number[] = [];
  for (let n = 0; n < times; n++) found.push((await send(method, path, client, at)).status);
  return found;
}

const tokenOf = (user: string, fields: TokenFields = {}) => issuer.token({ ...fields, claims: { sub: user } });

describe('a rate limit', () => {
  it('P10 answers 429 with a problem and the time to wait, which a page of another origin can read', async () => {
    const ada = { address: '192.0.2.1', token: await tokenOf('ada') };
    expect(await statuses(3, 'GET', '/things', ada)).toEqual([200, 200, 200]);

    const { status, headers, text } = await send('GET', '/things', ada);

    expect(status).toBe(429);
    expect(headers.get('content-type')).toBe('application/problem+json');
    expect(headers.get('access-control-allow-origin')).toBe('https://shop.example');
    expect(headers.get('access-control-expose-headers')).toContain('Retry-After');
    const wait = Number(headers.get('retry-after'));
    expect(wait).toBeGreaterThan(3500);
    expect(wait).toBeLessThanOrEqual(3600);
    expect(JSON.parse(text)).toMatchObject({
      type: 'urn:twinbox:problem:too-many-requests',
      detail: `The limit is 3 reads per hour. Nothing was changed. Try again in ${wait} s.`,
    });
  });

  it('P10 counts a user at any address, and users at one address separately', async () => {
    const eve = await tokenOf('eve');
    expect(await statuses(3, 'GET', '/things', { address: '192.0.2.2', token: eve })).toEqual([200, 200, 200]);

    expect(await statuses(1, 'GET', '/things', { address: '192.0.2.3', token: eve })).toEqual([429]);
    const other = { address: '192.0.2.2', token: await tokenOf('bob') };
    expect(await statuses(1, 'GET', '/things', other)).toEqual([200]);
  });

  it('P10 counts anonymous callers by their address, and IPv6 ones by their network', async () => {
    expect(await statuses(4, 'GET', '/things', { address: '192.0.2.4' })).toEqual([200, 200, 200, 429]);
    expect(await statuses(1, 'GET', '/things', { address: '192.0.2.5' })).toEqual([200]);

    expect(await statuses(3, 'GET', '/things', { address: '2001:db8:1:1::1' })).toEqual([200, 200, 200]);
    expect(await statuses(1, 'GET', '/things', { address: '2001:db8:1:1:ffff::2' })).toEqual([429]);
    expect(await statuses(1, 'GET', '/things', { address: '2001:db8:1:2::1' })).toEqual([200]);
  });

  it('P10 has separate budgets for reads, writes, streams and webhooks', async () => {
    const kim = { address: '192.0.2.6', token: await tokenOf('kim') };

    expect(await statuses(3, 'POST', '/things', kim)).toEqual([201, 201, 429]);
    expect(await statuses(2, 'GET', '/events', kim)).toEqual([200, 429]);
    expect(await statuses(3, 'POST', '/hook', kim)).toEqual([200, 200, 429]);
    expect(await statuses(2, 'GET', '/things', kim)).toEqual([200, 200]);
    expect(await statuses(2, 'GET', '/nowhere', kim)).toEqual([404, 429]);
  });

  it('P10 tells a stream with a ticket, which sees no status, when to try again', async () => {
    const client = { address: '192.0.2.10' };
    // Until somebody has looked the ticket up, it counts as a read of the address.
    for (let reads = 0; reads < 3; reads++) expect((await send('GET', '/events?ticket=t-1', client)).text).toBe('');

    const { status, headers, text } = await send('GET', '/events?ticket=t-2', client);

    expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    expect(text).toContain('urn:twinbox:problem:too-many-requests');
    expect(Number(/^retry: (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(3_500_000);
  });

  it('P10 counts webhooks by address, even if they have tokens of different users', async () => {
    const address = '192.0.2.7';
    expect(await statuses(1, 'POST', '/hook', { address, token: await tokenOf('lea') })).toEqual([200]);
    expect(await statuses(1, 'POST', '/hook', { address, token: await tokenOf('max') })).toEqual([200]);

    expect(await statuses(1, 'POST', '/hook', { address })).toEqual([429]);
  });

  it('leaves out health and preflights', async () => {
    const client = { address: '192.0.2.8' };

    expect(new Set(await statuses(9, 'GET', '/health', client))).toEqual(new Set([200]));
    expect(new Set(await statuses(9, 'OPTIONS', '/things', client))).toEqual(new Set([204]));
    expect(await statuses(1, 'GET', '/things', client)).toEqual([200]);
  });

  it('can be switched off', async () => {
    const unlimited = await start(Object.fromEntries(Object.keys(LIMITS).map((name) => [name, 'off'])));

    const found = await statuses(9, 'GET', '/things', { address: '192.0.2.9' }, unlimited);
    const forged = { address: '192.0.2.9', token: await tokenOf('zoe', { forged: true }) };
    const refused = await statuses(9, 'GET', '/things', forged, unlimited);
    await unlimited.close();

    expect(new Set(found)).toEqual(new Set([200]));
    expect(new Set(refused)).toEqual(new Set([401]));
  });
});

describe('refused logins', () => {
  it('P10 get a 429 once an address has made too many, without any effect on valid tokens', async () => {
    const address = '192.0.2.20';
    const forged = await tokenOf('ada', { forged: true });
    expect(await statuses(2, 'GET', '/things', { address, token: forged })).toEqual([401, 401]);

    const { status, text } = await send('GET', '/things', { address, token: forged });

    expect(status).toBe(429);
    expect(text).toContain('2 refused logins per hour');
    expect(await statuses(1, 'POST', '/things', { address, token: await tokenOf('ida') })).toEqual([201]);
    expect(await statuses(1, 'GET', '/things', { address: '192.0.2.21', token: forged })).toEqual([401]);
  });

  it('are not requests without a token', async () => {
    const address = '192.0.2.22';
    expect(await statuses(2, 'POST', '/things', { address })).toEqual([401, 401]);

    const token = await tokenOf('ada', { forged: true });
    expect(await statuses(1, 'GET', '/things', { address, token })).toEqual([401]);
  });

  it('P10 are limited for metrics too, which have no other limit', async () => {
    const address = '192.0.2.24';
    const forged = { address, token: await tokenOf('ada', { forged: true }) };

    expect(await statuses(3, 'GET', '/metrics', forged)).toEqual([401, 401, 429]);
    expect(await statuses(1, 'GET', '/health', forged)).toEqual([200]);
    const token = await issuer.token({ claims: { sub: 'olga', roles: ['operator'] } });
    expect(new Set(await statuses(9, 'GET', '/metrics', { address, token }))).toEqual(new Set([200]));
  });

  it('are not requests to a route that ignores the token', async () => {
    const client = { address: '192.0.2.23', token: 'nonsense' };
    expect(await statuses(2, 'POST', '/hook', client)).toEqual([200, 200]);

    expect(await statuses(1, 'GET', '/things', client)).toEqual([401]);
  });
});
