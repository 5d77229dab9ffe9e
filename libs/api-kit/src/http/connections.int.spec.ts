import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Body, Controller, Get, Module, Post, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { until } from '@twinbox/messaging/testing';
import type { FastifyReply } from 'fastify';
import { InProcessConfig } from '../../test/in-process-config.js';
import { exchange, expectProblem, RawConnection } from '../../test/raw-http.js';
import { createApp, type EventStream, loggerModule, openEventStream, Public, ServiceConfig } from '../index.js';

const ORIGIN = 'https://shop.example';
/** In milliseconds. */
const SHORT = 300;
const LONG = 60_000;
/** In bytes. More than the buffers of a connection hold. */
const LARGE = 32 * 1024 * 1024;

let release = (): void => undefined;
let isWaiting = false;
let stream: EventStream | undefined;

@Public()
@Controller()
class SlowController {
  @Post('bodies')
  body(@Body() body: object) {
    return body;
  }

  @Get('slow')
  async slow() {
    const released = new Promise<void>((resolve) => (release = resolve));
    isWaiting = true;
    await released;
    isWaiting = false;
    return { slow: true };
  }

  @Get('large')
  large() {
    return Buffer.alloc(LARGE);
  }

  @Get('events')
  events(@Res() reply: FastifyReply) {
    stream = openEventStream(reply);
  }
}

class TestConfig extends InProcessConfig {
  override PORT = 0;
  override CORS_ORIGINS = [ORIGIN];
}

@Module({ imports: [loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'slow')], controllers: [SlowController] })
class SlowModule {}

const apps: NestFastifyApplication[] = [];
afterEach(async () => {
  release();
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function start(config: Partial<ServiceConfig>): Promise<{ app: NestFastifyApplication; url: string }> {
  const app = await createApp(SlowModule, Object.assign(new TestConfig(), config));
  apps.push(app);
  await app.listen(0, '127.0.0.1');
  return { app, url: await app.getUrl() };
}

const connectionsOf = (app: NestFastifyApplication) =>
  new Promise<number>((resolve, reject) => {
    app.getHttpServer().getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });

const HEAD = `POST /bodies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Request-Id: r-1\r\nOrigin: ${ORIGIN}\r\n`;
const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

describe.each([
  ['REQUEST_TIMEOUT', { REQUEST_TIMEOUT: SHORT, CONNECTION_TIMEOUT: LONG }],
  ['CONNECTION_TIMEOUT', { REQUEST_TIMEOUT: LONG, CONNECTION_TIMEOUT: SHORT }],
])('%s', (_, config) => {
  it.each([
    ['half', `${HEAD}Content-Length: 1000\r\n\r\n{"half":`],
    ['nothing', `${HEAD}Content-Length: 1000\r\n\r\n`],
    ['one chunk', `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{"hal\r\n`],
  ])('P8 answers 408 if only %s of a body has arrived', async (_, bytes) => {
    const { url } = await start(config);

    const answers = await exchange(url, bytes);

    expect(answers).toHaveLength(1);
    expectProblem(answers[0], 408, 'request-timeout');
    expect(answers[0]?.headers.get('x-request-id')).toBe('r-1');
    expect(answers[0]?.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(answers[0]?.headers.get('connection')).toBe('close');
  });

  it('P8 closes the connection even if the client keeps its own side open', async () => {
    const { app, url } = await start(config);
    const stubborn = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const connection = await RawConnection.open(url, { keepsOpen: true });
        connection.send(`${HEAD}Content-Length: 1000\r\n\r\n{`);
        return connection;
      }),
    );

    await until('no connection is left', async () => (await connectionsOf(app)) === 0);

    for (const connection of stubborn) connection.close();
  });

  it('P8 interrupts neither slow responses nor event streams', async () => {
    const { url } = await start(config);
    const [slow, events] = [await RawConnection.open(url), await RawConnection.open(url)];
    slow.send(GET('/slow'));
    events.send(GET('/events'));
    await until('both are in progress', () => isWaiting && events.text.includes('text/event-stream'));

    // Each of these takes longer than the timeout.
    for (let n = 0; n < 3; n++) await exchange(url, `${HEAD}Content-Length: 1000\r\n\r\n`);
    release();
    stream?.send({ data: 'still here' });

    await until('the response has arrived', () => slow.answers.length > 0);
    await until('the event has arrived', () => events.text.includes('still here'));
    expect(slow.answers).toMatchObject([{ status: 200, body: '{"slow":true}' }]);
    slow.close();
    events.close();
  });

  it('P8 closes a connection without a request', async () => {
    const { app, url } = await start(config);
    await RawConnection.open(url, { keepsOpen: true });

    await until('it is closed', async () => (await connectionsOf(app)) === 0);
  });
});

describe('an unfinished head', () => {
  it('P8 gets a 408 after REQUEST_TIMEOUT', async () => {
    const { url } = await start({ REQUEST_TIMEOUT: SHORT });

    const answers = await exchange(url, HEAD);

    expect(answers).toHaveLength(1);
    expectProblem(answers[0], 408, 'request-timeout');
  });
});

describe('KEEP_ALIVE_TIMEOUT', () => {
  it('closes an idle connection without sending anything', async () => {
    const { url } = await start({ KEEP_ALIVE_TIMEOUT: SHORT });

    const answers = await exchange(url, GET('/nowhere'));

    expect(answers.map(({ status }) => status)).toEqual([404]);
  });
});

describe('RESPONSE_TIMEOUT', () => {
  it('P8 closes the connection of a client that does not read its response, but not that of a stream', async () => {
    const { app, url } = await start({ RESPONSE_TIMEOUT: SHORT });
    const events = await RawConnection.open(url);
    events.send(GET('/events'));
    await until('the stream is open', () => events.text.includes('text/event-stream'));
    const { hostname, port } = new URL(url);
    const accepted = once(app.getHttpServer(), 'connection');
    const idle = connect({ host: hostname, port: Number(port) }).on('error', () => undefined);
    idle.pause().write(GET('/large'));
    const [connection] = (await accepted) as [Socket];

    await new Promise((resolve) => connection.once('close', resolve));

    stream?.send({ data: 'still here' });
    await until('the event has arrived', () => events.text.includes('still here'));
    events.close();
    idle.destroy();
  });

  it('does not limit the time until a response begins', async () => {
    const { url } = await start({ RESPONSE_TIMEOUT: 100, REQUEST_TIMEOUT: SHORT });
    const slow = await RawConnection.open(url);
    slow.send(GET('/slow'));
    await until('it is in progress', () => isWaiting);

    // This takes three times as long as the timeout.
    await exchange(url, `${HEAD}Content-Length: 1000\r\n\r\n`);
    release();

    await until('the response has arrived', () => slow.answers.length > 0);
    slow.close();
  });
});

describe('the head of a request', () => {
  const head = (...headers: string[]) =>
    `GET /nowhere HTTP/1.1\r\n${['Host: localhost', ...headers].join('\r\n')}\r\n\r\n`;
  const many = (count: number) => Array.from({ length: count }, (_, n) => `X-${n}: 1`);

  it('P8 may have 100 headers and no more', async () => {
    const { url } = await start({});

    const [enough, tooMany, farTooMany] = await Promise.all(
      [98, 99, 2500].map((count) => exchange(url, head(...many(count), 'Connection: close'))),
    );

    expectProblem(enough?.[0], 404, 'not-found');
    expectProblem(tooMany?.[0], 431, 'request-header-fields-too-large');
    expectProblem(farTooMany?.[0], 431, 'request-header-fields-too-large');
  });

  it('P8 may have 16 kB and no more', async () => {
    const { url } = await start({});

    const [enough, tooLarge] = await Promise.all(
      [15_000, 16 * 1024].map((length) => exchange(url, head(`X: ${'x'.repeat(length)}`, 'Connection: close'))),
    );

    expectProblem(enough?.[0], 404, 'not-found');
    expectProblem(tooLarge?.[0], 431, 'request-header-fields-too-large');
  });
});

describe('MAX_CONNECTIONS', () => {
  it('P8 limits the open connections by closing further ones at once', async () => {
    const { app, url } = await start({ MAX_CONNECTIONS: 5 });
    const held = await Promise.all(Array.from({ length: 5 }, () => RawConnection.open(url)));
    await until('all are accepted', async () => (await connectionsOf(app)) === 5);

    expect(await exchange(url, GET('/nowhere'))).toEqual([]);

    held[0]?.close();
    await until('there is room', async () => (await connectionsOf(app)) === 4);
    const [answer] = await exchange(url, `GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expectProblem(answer, 404, 'not-found');
    for (const connection of held) connection.close();
  });
});
