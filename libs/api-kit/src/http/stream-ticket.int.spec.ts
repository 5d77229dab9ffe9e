import { Writable } from 'node:stream';
import { Controller, Get, Header, Module, Query, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { until } from '@twinbox/messaging/testing';
import {
  AcceptsTicket,
  createApp,
  loggerModule,
  MetricsModule,
  OptionalCaller,
  openEventStream,
  ProblemException,
  ServiceConfig,
  ticketOf,
} from '../index.js';
import type { Caller } from './caller.js';
import type { Problem } from './problem.js';

/** Thrown by the handler, if it is set. */
let problem: Problem | undefined;
let failure: Error | undefined;
/** Thrown by a hook, which runs before guards and handlers. */
let hookProblem: Problem | undefined;

@Controller('feeds')
class FeedsController {
  @Get('news')
  @AcceptsTicket()
  follow(@Query() _: object, @OptionalCaller() caller: Caller | undefined, @Res() reply: FastifyReply): void {
    if (problem) throw new ProblemException(problem);
    if (failure) throw failure;
    const stream = openEventStream(reply);
    stream.send({ data: { ticket: ticketOf(reply.request) ?? null, user: caller?.userId ?? null } });
    stream.close();
  }

  @Get('archive')
  @Header('x-archive', 'yes')
  read(@Query() _: object): object {
    return {};
  }
}

class TestConfig extends ServiceConfig {
  override PORT = 0;
  override CORS_ORIGINS = ['http://localhost:3000'];
}

let logged = '';
const sink = new Writable({
  write(chunk: Buffer, _encoding, done) {
    logged += chunk.toString();
    done();
  },
});

@Module({
  imports: [
    loggerModule({ LOG_LEVEL: 'trace', LOG_FORMAT: 'json' }, 'feeds', sink),
    MetricsModule.forRoot({ sources: [] }),
  ],
  controllers: [FeedsController],
})
class FeedsModule {}

let app: NestFastifyApplication;
let url: string;
beforeAll(async () => {
  app = await createApp(FeedsModule, new TestConfig());
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (_request, _reply, done) => done(hookProblem && new ProblemException(hookProblem)));
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});
afterAll(() => app.close());
beforeEach(() => {
  problem = undefined;
  failure = undefined;
  hookProblem = undefined;
  logged = '';
});

async function get(path: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(url + path, { method, headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The fields of the only event in a stream. */
function eventIn(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
  );
}

const full: Problem = { code: 'too-many-streams', status: 429, title: 'Too many.' };
const unknown: Problem = { code: 'event-unknown', status: 400, title: 'Unknown.' };

describe('a request with a ticket', () => {
  it('reaches the handler without a caller, who is not identified by the ticket', async () => {
    const { status, text } = await get('/feeds/news?ticket=t-1');

    expect([status, text]).toEqual([200, 'data: {"ticket":"t-1","user":null}\n\n']);
  });

  it.each([
    ['without a ticket', 'GET', '/feeds/news', 401],
    ['with two tickets', 'GET', '/feeds/news?ticket=a&ticket=b', 401],
    ['for HEAD', 'HEAD', '/feeds/news?ticket=t-1', 401],
    ['of another route', 'GET', '/feeds/archive?ticket=t-1', 401],
    ['of no route', 'GET', '/feeds/none?ticket=t-1', 404],
  ])('P10 is an ordinary request %s', async (_, method, path, status) => {
    expect((await get(path, {}, method)).status).toBe(status);
  });

  it.each([
    ['a limit', () => (problem = full), 429, 'urn:twinbox:problem:too-many-streams'],
    ['a limit of a hook', () => (hookProblem = full), 429, 'urn:twinbox:problem:too-many-streams'],
    ['an outage', () => (failure = new Error('gone')), 500, 'urn:twinbox:problem:internal-error'],
    [
      'a shutdown',
      () => (problem = { code: 'service-stopping', status: 503, title: 'Bye.' }),
      503,
      'urn:twinbox:problem:service-stopping',
    ],
  ])('is told about %s by a stream that ends, and when to try again', async (_, arrange, status, type) => {
    arrange();

    const told = await get('/feeds/news?ticket=t-1', { origin: 'http://localhost:3000', 'last-event-id': 'b-7' });
    const refused = await get('/feeds/news', { 'x-user-id': 'ada' });

    expect(told.status).toBe(200);
    expect(told.headers.get('content-type')).toBe('text/event-stream');
    expect(told.headers.get('cache-control')).toBe('no-store');
    expect(told.headers.get('access-control-allow-origin')).toBe('http://localhost:3000');
    const event = eventIn(told.text);
    expect(event).toMatchObject({ event: 'unavailable', id: 'b-7' });
    expect(Number(event['retry'])).toBeGreaterThanOrEqual(2000);
    expect(JSON.parse(event['data'] ?? '')).toMatchObject({
      type,
      status,
      instance: `urn:request:${told.headers.get('x-request-id')}`,
    });
    expect(refused.status).toBe(status);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.headers.get('retry-after')).toBe(status === 500 ? null : '1');
  });

  it.each([
    [429, 'info'],
    [503, 'warn'],
  ])('P9 whose stream reports a %d counts as one in the log and in metrics', async (status, level) => {
    problem = { code: 'no-luck', status, title: 'No.' };
    const counted = async () => {
      const { text } = await get('/metrics');
      const line = `http_request_duration_seconds_count{method="GET",route="/feeds/news",status="${status}"}`;
      return Number(
        text
          .split('\n')
          .find((each) => each.startsWith(line))
          ?.slice(line.length) ?? 0,
      );
    };
    const before = await counted();

    const told = await get('/feeds/news?ticket=t-1');
    const line = await until('the request is logged', () => logged.split('\n').find((each) => each.includes('/feeds')));

    expect(told.status).toBe(200);
    expect(JSON.parse(line)).toMatchObject({ level, status, msg: `GET /feeds/news?ticket=[redacted] ${status}` });
    expect(await counted()).toBe(before + 1);
  });

  it('is told to wait at least as long as Retry-After, and not as long as others', async () => {
    problem = { ...full, headers: { 'retry-after': '30' } };

    const pauses = await Promise.all(
      Array.from({ length: 20 }, async () => Number(eventIn((await get('/feeds/news?ticket=t')).text)['retry'])),
    );

    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(30_000);
    expect(new Set(pauses).size).toBeGreaterThan(1);
  });

  it('is told about a problem under the name and with the id that it has for streams', async () => {
    problem = { ...unknown, event: { name: 'reset', id: 'b-9' } };

    const { status, text } = await get('/feeds/news?ticket=t-1', { 'last-event-id': 'x' });

    expect(status).toBe(200);
    expect(eventIn(text)).toMatchObject({ event: 'reset', id: 'b-9' });
  });

  it('gets the status of a problem that trying again does not solve', async () => {
    problem = unknown;

    expect((await get('/feeds/news?ticket=t-1')).status).toBe(400);
  });

  it.each([
    '/feeds/news?ticket=s3cret',
    '/feeds/news?since=1&ticket=s3cret&x=2',
    '/feeds/news?%74icket=s3cret',
    '/feeds/news?TICKET=s3cret',
    '/feeds/news?x=1?ticket=2&ticket=s3cret',
    '/feeds/archive?ticket=s3cret',
    '/feeds/none?ticket=s3cret',
  ])('P10 is logged without it: %s', async (path) => {
    await get(path);

    // The response may arrive before its log line is written.
    for (let tries = 0; !logged.includes('"durationMs"') && tries < 500; tries++)
      await new Promise((resolve) => void setTimeout(resolve, 10));
    expect(logged).toMatch(/icket=\[redacted\]/i);
    expect(logged).not.toContain('s3cret');
  });
});
