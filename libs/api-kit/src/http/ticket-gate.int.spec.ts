import { randomUUID } from 'node:crypto';
import { Controller, Get, Module, Post, Query, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { until } from '@twinbox/messaging/testing';
import type { FastifyReply } from 'fastify';
import { InProcessConfig } from '../../test/in-process-config.js';
import {
  AcceptsTicket,
  ApiEventStream,
  Caller,
  createApp,
  loadConfig,
  loggerModule,
  openEventStream,
  ProblemException,
  SecurityEvents,
  TicketGate,
  ticketOf,
} from '../index.js';
import { type TokenFields, TokenIssuer } from '../testing/index.js';

const tickets = new Map<string, Caller>();
const EXPIRED = { code: 'ticket-expired', status: 401, title: 'No.', event: { name: 'expired' } };

@Controller()
class FeedController {
  constructor(private readonly gate: TicketGate) {}

  @Post('tickets')
  issue(@Caller() caller: Caller): { readonly ticket: string } {
    const ticket = randomUUID();
    tickets.set(ticket, caller);
    return { ticket };
  }

  @Get('events')
  @ApiEventStream('The events.', { data: {} })
  @AcceptsTicket()
  async follow(@Query() _: object, @Res() reply: FastifyReply): Promise<void> {
    const { request } = reply;
    const ticket = ticketOf(request);
    const holder = tickets.get(ticket ?? '');
    if (ticket !== undefined && !(holder && (await this.gate.admit(request, holder)))) {
      await this.gate.refuse(request, 'The ticket is not valid.');
      throw new ProblemException(EXPIRED);
    }
    openEventStream(reply, holder?.expiresAt).send({ data: 'begun' });
  }
}

class Config extends InProcessConfig {
  override PORT = 0;
}

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'feed')],
  controllers: [FeedController],
})
class FeedModule {}

let issuer: TokenIssuer;
let app: NestFastifyApplication;
let url: string;
let reported: unknown[];
beforeEach(async () => {
  issuer = await TokenIssuer.start();
  const env = {
    DATABASE_URL: 'postgres://a@127.0.0.1:1/a',
    KAFKA_BROKERS: '127.0.0.1:1',
    // The test is the proxy, so that its clients have addresses of their own.
    TRUST_PROXY: '127.0.0.1',
    RATE_LIMIT_READS: '5/h',
    RATE_LIMIT_STREAMS: '2/h',
    RATE_LIMIT_REFUSED_LOGINS: '2/h',
    JWKS_REFRESH: '1s',
    JWKS_COOLDOWN: '1s',
    ...issuer.env,
  };
  app = await createApp(FeedModule, loadConfig(Config, env), { title: 'Feed', description: 'Feed.', version: '1' });
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
  reported = [];
  app.get(SecurityEvents).report = ({ ip }, ...event) => void reported.push([ip, ...event]);
});
afterEach(async () => {
  await app.close();
  await issuer.stop();
});

async function aTicket(sub: string, fields: TokenFields = {}): Promise<string> {
  const headers = { authorization: `Bearer ${await issuer.token({ ...fields, claims: { sub } })}` };
  const response = await fetch(`${url}/tickets`, { method: 'POST', headers });
  return ((await response.json()) as { ticket: string }).ticket;
}

const follow = (ticket: string, address: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/events?ticket=${ticket}`, { headers: { ...headers, 'x-forwarded-for': address } });

/** Returns the first frame of the stream. */
async function begins(ticket: string, address: string, headers: Record<string, string> = {}): Promise<string> {
  const { body } = await follow(ticket, address, headers);
  const reader = body!.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return Buffer.from(value ?? []).toString();
}

const BEGUN = 'data: "begun"\n\n';
const LIMITED = expect.stringMatching(/too-many-requests.*opened streams per hour/s);

it('P10 streams are counted by the user who holds the ticket, at any address', async () => {
  const [ada, bob] = [await aTicket('ada'), await aTicket('bob')];

  expect(await begins(ada, '192.0.2.1')).toBe(BEGUN);
  expect(await begins(ada, '192.0.2.2')).toBe(BEGUN);
  expect(await begins(ada, '192.0.2.3')).toEqual(LIMITED);
  const token = { authorization: `Bearer ${await issuer.token()}` };
  expect((await fetch(`${url}/events`, { headers: token })).status).toBe(429);
  expect(await begins(bob, '192.0.2.1')).toBe(BEGUN);
});

it('P10 refused tickets are reported and have a budget for each address, which valid ones do not use', async () => {
  const ada = await aTicket('ada');

  for (let tries = 0; tries < 2; tries++) expect(await begins('unknown', '192.0.2.1')).toContain('event: expired');
  expect(await begins('unknown', '192.0.2.1')).toMatch(/too-many-requests.*refused logins per hour/s);
  expect(await begins('unknown', '192.0.2.2')).toContain('event: expired');

  expect(await begins(ada, '192.0.2.1')).toBe(BEGUN);
  expect(reported).toEqual([
    ['192.0.2.1', 'login-refused', 'The ticket is not valid.'],
    ['192.0.2.1', 'login-refused', 'The ticket is not valid.'],
    ['192.0.2.1', 'rate-limited', 'The limit is 2 refused logins per hour.'],
    ['192.0.2.2', 'login-refused', 'The ticket is not valid.'],
  ]);
});

it('P10 looking tickets up has the budget of reads for each address', async () => {
  const statuses: string[] = [];
  for (let tries = 0; tries < 6; tries++) statuses.push(await begins(`unknown-${tries}`, '192.0.2.1'));

  expect(statuses.at(-2)).toContain('refused logins');
  expect(statuses.at(-1)).toContain('5 reads per hour');
});

it('P10 other credentials beside a ticket have no effect', async () => {
  const ada = await aTicket('ada');
  const [basic, forged] = ['Basic cHJveHk6cHJveHk=', `Bearer ${await issuer.token({ forged: true })}`];

  expect(await begins(ada, '192.0.2.1', { authorization: basic })).toBe(BEGUN);
  const stream = await follow(ada, '192.0.2.1', { authorization: forged });
  const reader = stream.body!.getReader();
  await reader.read();
  const next = reader.read().then(() => 'ended');
  await issuer.rotate({ overlap: true });
  const requests = issuer.requests;
  await until('the keys have been loaded twice', () => issuer.requests > requests + 1);
  const { status } = await fetch(`${url}/events?ticket=${ada}`, { method: 'HEAD' });

  expect(await Promise.race([next, Promise.resolve('open')])).toBe('open');
  expect(status).toBe(401);
  expect(reported).toEqual([]);
  await app.close();
  expect(await next).toBe('ended');
});

it('P10 a stream ends, and its ticket is refused, when the key of the token for which it was issued is withdrawn', async () => {
  const [old, unnamed] = [await aTicket('ada'), await aTicket('ada', { kid: undefined })];
  const text = (await follow(old, '192.0.2.1')).text();

  await issuer.rotate({ overlap: true });
  const current = await aTicket('bob');
  expect(await begins(old, '192.0.2.1')).toBe(BEGUN);
  await issuer.rotate({ overlap: false });

  expect(await text).toBe(BEGUN);
  expect(await begins(old, '192.0.2.1')).toContain('event: expired');
  expect(await begins(current, '192.0.2.1')).toContain('event: expired');
  expect(await begins(unnamed, '192.0.2.2')).toEqual(LIMITED);
});
