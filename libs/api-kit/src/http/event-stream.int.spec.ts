import { connect, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Get, Module, Param, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiOperation } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { InProcessConfig } from '../../test/in-process-config.js';
import {
  ApiEventStream,
  createApp,
  type EventStream,
  LastEventId,
  loggerModule,
  openApiDocument,
  openApiGaps,
  openEventStream,
  ProblemException,
} from '../index.js';

const streams: EventStream[] = [];
/** Awaited by the handler before it opens its stream. */
let beforeOpening: (() => Promise<void>) | undefined;

@Controller('feeds')
class FeedsController {
  @Get(':name')
  @ApiOperation({ summary: 'Follow a feed' })
  @ApiEventStream('Its events.', { id: '1', data: { n: 1 } })
  async follow(
    @Param('name') name: string,
    @LastEventId() lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await beforeOpening?.();
    if (name === 'none') throw new ProblemException({ code: 'feed-not-found', status: 404, title: 'No such feed.' });
    const stream = openEventStream(reply);
    streams.push(stream);
    stream.send({ data: { after: lastEventId ?? null } });
  }
}

class TestConfig extends InProcessConfig {
  override PORT = 0;
  override CORS_ORIGINS = ['http://localhost:3000'];
}

const lines: Record<string, unknown>[] = [];
const sink = new Writable({
  write(chunk: Buffer, _encoding, done) {
    for (const line of chunk.toString().trim().split('\n')) lines.push(JSON.parse(line) as Record<string, unknown>);
    done();
  },
});

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'info', LOG_FORMAT: 'json' }, 'feeds', sink)],
  controllers: [FeedsController],
})
class FeedsModule {}

const info = { title: 'Feeds', description: 'Feeds.', version: '1.0.0' };
let app: NestFastifyApplication;
const sockets: Socket[] = [];

beforeEach(async () => {
  beforeOpening = undefined;
  lines.length = 0;
  streams.length = 0;
  app = await createApp(FeedsModule, new TestConfig(), info);
  await app.listen(0, '127.0.0.1');
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await app.close();
});

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (await condition()) return;
    await sleep(10);
  }
  throw new Error(`not within 10 s: ${what}`);
}

/** Opens a client on a plain socket, which stops reading when it is paused. */
async function follow(path = '/feeds/news', headers = 'X-User-Id: ada\r\n') {
  const { hostname, port } = new URL(await app.getUrl());
  const socket = connect(Number(port), hostname);
  sockets.push(socket);
  socket.on('error', () => undefined);
  let text = '';
  let ended = false;
  socket.on('data', (chunk) => (text += String(chunk)));
  socket.on('close', () => (ended = true));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
  const read = {
    socket,
    get text() {
      return text;
    },
    get ended() {
      return ended;
    },
    says: (what: string) => until(`the client reads ${what}`, () => text.includes(what)),
  };
  return read;
}

const closingLines = () => lines.filter(({ status }) => status !== undefined);

describe('a stream of events', () => {
  it('begins with its headers, followed by the events', async () => {
    const client = await follow(
      '/feeds/news',
      'X-User-Id: ada\r\nX-Request-Id: r-1\r\nOrigin: http://localhost:3000\r\n',
    );
    await client.says('after');
    streams[0]!.send({ id: 'b-1', event: 'changed', data: { text: 'two\nlines' } });
    streams[0]!.send({ id: 'b-2' });
    streams[0]!.comment('still here');
    await client.says('still here');

    const [head = ''] = client.text.split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1.1 200 /);
    expect(head.toLowerCase().split('\r\n')).toEqual(
      expect.arrayContaining([
        'content-type: text/event-stream',
        'cache-control: no-store',
        'x-request-id: r-1',
        'access-control-allow-origin: http://localhost:3000',
      ]),
    );
    expect(client.text).toContain('data: {"after":null}\n\n');
    expect(client.text).toContain('id: b-1\nevent: changed\ndata: {"text":"two\\nlines"}\n\n');
    expect(client.text).toContain('id: b-2\n\n');
    expect(client.text).toContain(': still here\n\n');
  });

  it('does not let the content of a field start another one', async () => {
    const client = await follow();
    await client.says('after');

    streams[0]!.send({ id: '1\ndata: forged', event: 'a\r\rb', data: 1 });
    await client.says('data: 1\n\n');

    expect(client.text).toContain('id: 1 data: forged\nevent: a  b\ndata: 1\n\n');
  });

  it('knows the last event that a reconnecting client received', async () => {
    const client = await follow('/feeds/news', 'X-User-Id: ada\r\nLast-Event-ID: b-2\r\n');

    await client.says('data: {"after":"b-2"}');
  });

  it.each([
    ['that is not identified', '/feeds/news', '', 401],
    ['that asks for an unknown stream', '/feeds/none', 'X-User-Id: ada\r\n', 404],
    ['with an invalid last event id', '/feeds/news', `X-User-Id: ada\r\nLast-Event-ID: ${'x'.repeat(256)}\r\n`, 400],
  ])('is a problem document for a client %s', async (_, path, headers, status) => {
    const client = await follow(path, `${headers}Connection: close\r\n`);
    await until('it is answered', () => client.ended);

    expect(client.text).toContain(`HTTP/1.1 ${status} `);
    expect(client.text.toLowerCase()).toContain('content-type: application/problem+json');
    expect(client.text).toContain('"instance":"urn:request:');
    expect(streams).toEqual([]);
  });

  it('consists only of headers for HEAD', async () => {
    const answer = await fetch(`${await app.getUrl()}/feeds/news`, {
      method: 'HEAD',
      headers: { 'x-user-id': 'ada' },
    });

    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(streams[0]?.closed).toBe(true);
    await until('the response has ended', () => closingLines().length === 1);
  });

  it('is logged when it ends, not when it begins', async () => {
    const client = await follow();
    await client.says('after');
    const atFirst = closingLines().length;

    client.socket.destroy();

    await until('it is logged', () => closingLines().length > 0);
    expect(atFirst).toBe(0);
    expect(closingLines()).toMatchObject([{ url: '/feeds/news', status: 200, userId: 'ada', aborted: true }]);
  });

  it('ends when its client disconnects, and calls its listener once', async () => {
    const client = await follow();
    await client.says('after');
    let calls = 0;
    streams[0]!.onClose(() => calls++);

    client.socket.resetAndDestroy();

    await until('it has ended', () => streams[0]!.closed);
    expect(calls).toBe(1);
    expect(streams[0]!.send({ data: 1 })).toBe(false);
    expect(streams[0]!.comment()).toBe(false);
    streams[0]!.onClose(() => calls++);
    expect(calls).toBe(2);
  });

  it('has already ended if the client disconnected before it began', async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    beforeOpening = async () => {
      begun.resolve();
      await gate.promise;
    };
    const client = await follow();
    await begun.promise;
    client.socket.resetAndDestroy();
    await until('the server has noticed', () => closingLines().length > 0);

    gate.resolve();

    await until('it was opened', () => streams.length === 1);
    expect(streams[0]!.closed).toBe(true);
  });

  it('P7 disconnects a client that does not read, so that it buffers no more than a megabyte', async () => {
    const client = await follow();
    await client.says('after');
    client.socket.pause();
    const data = 'x'.repeat(64 * 1024);
    let sent = 0;

    while (streams[0]!.send({ data })) {
      // The buffers of the kernel, which the server cannot limit, take a few megabytes.
      if (++sent > 2000) throw new Error('the server buffers without a limit');
      await sleep(1);
    }

    expect(streams[0]!.closed).toBe(true);
    client.socket.resume();
    await until('the connection is closed', () => client.ended);
  });

  it('P7 sends a client that reads a backlog of any length, if the sender waits for it', async () => {
    const client = await follow();
    await client.says('after');
    const data = 'x'.repeat(64 * 1024);

    for (let sent = 0; sent < 100; sent++) {
      streams[0]!.send({ data });
      await streams[0]!.drained();
    }
    streams[0]!.send({ data: 'the end' });

    await client.says('the end');
    // Waiting leaves no listeners behind.
    expect((streams[0] as unknown as { listeners: Set<unknown> }).listeners.size).toBeLessThan(5);
    expect(client.text.length).toBeGreaterThan(100 * data.length);
  });

  it('does not keep its sender waiting for a client that disconnects', async () => {
    const client = await follow();
    await client.says('after');
    client.socket.pause();
    streams[0]!.send({ data: 'x'.repeat(900 * 1024) });
    const drained = streams[0]!.drained();

    client.socket.destroy();

    await drained;
    await until('it has ended', () => streams[0]!.closed);
  });

  it('P7 is cut off a second after it was closed if its client does not read the rest', async () => {
    await fillBuffers();

    streams[0]!.close();

    await until('the response has ended', () => closingLines().length === 1);
    expect(closingLines()).toMatchObject([{ aborted: true }]);
  });

  it('is documented', () => {
    const document = openApiDocument(app, info);

    expect(openApiGaps(document)).toEqual([]);
    expect(document.paths['/feeds/{name}']!.get).toMatchObject({
      parameters: expect.arrayContaining([expect.objectContaining({ name: 'Last-Event-ID', in: 'header' })]) as unknown,
      responses: { 200: { content: { 'text/event-stream': { example: { id: '1', data: '{"n":1}' } } } } },
    });
  });
});

describe('a closing application', () => {
  it('P8 ends its streams gracefully, without waiting for their clients to disconnect', async () => {
    const clients = [await follow(), await follow()];
    for (const client of clients) await client.says('after');
    const start = performance.now();

    await app.close();

    expect(performance.now() - start).toBeLessThan(5000);
    for (const client of clients) {
      await until('the client has been disconnected', () => client.ended);
      expect(client.text).toMatch(/0\r\n\r\n$/);
    }
    expect(closingLines()).toHaveLength(2);
    expect(closingLines().every((line) => !('aborted' in line))).toBe(true);
  });

  it('P8 does not wait for a client that does not read', async () => {
    await fillBuffers();
    const start = performance.now();

    await app.close();

    expect(performance.now() - start).toBeLessThan(3000);
  });

  it('P8 does not open a stream for a request that was in flight', async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    beforeOpening = async () => {
      begun.resolve();
      await gate.promise;
    };
    const client = await follow();
    await begun.promise;
    const url = await app.getUrl();
    const closed = app.close();
    await until('it closes', async () => (await fetch(url).catch(() => ({ status: 503 }))).status === 503);
    gate.resolve();

    await closed;

    await until('the client has been disconnected', () => client.ended);
    expect(streams[0]!.closed).toBe(true);
  });
});

/** Opens a client that does not read, and sends events until half a megabyte waits for it in this process. */
async function fillBuffers(): Promise<void> {
  const client = await follow();
  await client.says('after');
  client.socket.pause();
  const waiting = () => (streams[0] as unknown as { response: { writableLength: number } }).response.writableLength;
  // The buffers of the kernel grow for a while. Only what they no longer take has to wait in this process.
  await until('the buffers are full', async () => {
    if (waiting() < 500_000) streams[0]!.send({ data: 'x'.repeat(256 * 1024) });
    const before = waiting();
    await sleep(100);
    return before >= 500_000 && waiting() === before;
  });
}
