import { connect, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Get, Module, Param, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiOperation } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
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
  ServiceConfig,
} from './index.js';

const streams: EventStream[] = [];
/** What a handler waits for before it opens its stream. */
let asked: (() => Promise<void>) | undefined;

@Controller('feeds')
class FeedsController {
  @Get(':name')
  @ApiOperation({ summary: 'Follow a feed' })
  @ApiEventStream('Its events.', 'id: 1\ndata: {"n":1}\n\n')
  async follow(
    @Param('name') name: string,
    @LastEventId() lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await asked?.();
    if (name === 'none') throw new ProblemException({ code: 'feed-not-found', status: 404, title: 'No such feed.' });
    const stream = openEventStream(reply);
    streams.push(stream);
    stream.send({ data: { after: lastEventId ?? null } });
  }
}

class TestConfig extends ServiceConfig {
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
  asked = undefined;
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
  throw new Error(`not in 10 s: ${what}`);
}

/** A client at the level of the socket; it stops to read when it is paused. */
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
  it('begins with its headers, and goes on event by event', async () => {
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

  it('lets no field begin another', async () => {
    const client = await follow();
    await client.says('after');

    streams[0]!.send({ id: '1\ndata: forged', event: 'a\r\rb', data: 1 });
    await client.says('data: 1\n\n');

    expect(client.text).toContain('id: 1 data: forged\nevent: a  b\ndata: 1\n\n');
  });

  it('says where a returning client has been', async () => {
    const client = await follow('/feeds/news', 'X-User-Id: ada\r\nLast-Event-ID: b-2\r\n');

    await client.says('data: {"after":"b-2"}');
  });

  it.each([
    ['who says not who they are', '/feeds/news', '', 401],
    ['who asks for what is not there', '/feeds/none', 'X-User-Id: ada\r\n', 404],
    ['whose last event is none', '/feeds/news', `X-User-Id: ada\r\nLast-Event-ID: ${'x'.repeat(256)}\r\n`, 400],
  ])('does not begin for one %s: they get a problem document', async (_, path, headers, status) => {
    const client = await follow(path, `${headers}Connection: close\r\n`);
    await until('it is answered', () => client.ended);

    expect(client.text).toContain(`HTTP/1.1 ${status} `);
    expect(client.text.toLowerCase()).toContain('content-type: application/problem+json');
    expect(client.text).toContain('"instance":"urn:request:');
    expect(streams).toEqual([]);
  });

  it('is its headers alone for HEAD: nobody could read it', async () => {
    const answer = await fetch(`${await app.getUrl()}/feeds/news`, {
      method: 'HEAD',
      headers: { 'x-user-id': 'ada' },
    });

    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(streams[0]?.closed).toBe(true);
    await until('it is over', () => closingLines().length === 1);
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

  it('ends when its client leaves: who wrote to it is told once, and writes no more', async () => {
    const client = await follow();
    await client.says('after');
    let told = 0;
    streams[0]!.onClose(() => told++);

    client.socket.resetAndDestroy();

    await until('it has ended', () => streams[0]!.closed);
    expect(told).toBe(1);
    expect(streams[0]!.send({ data: 1 })).toBe(false);
    expect(streams[0]!.comment()).toBe(false);
    streams[0]!.onClose(() => told++);
    expect(told).toBe(2);
  });

  it('has ended at once for a client that left before it began', async () => {
    const door = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    asked = async () => {
      begun.resolve();
      await door.promise;
    };
    const client = await follow();
    await begun.promise;
    client.socket.resetAndDestroy();
    await until('the server knows', () => closingLines().length > 0);

    door.resolve();

    await until('it was opened', () => streams.length === 1);
    expect(streams[0]!.closed).toBe(true);
  });

  it('P7 cuts a client off that does not read, and so keeps no more than a megabyte for it', async () => {
    const client = await follow();
    await client.says('after');
    client.socket.pause();
    const data = 'x'.repeat(64 * 1024);
    let sent = 0;

    while (streams[0]!.send({ data })) {
      // What the kernel's buffers hold is out of our hands: they take a few megabytes.
      if (++sent > 2000) throw new Error('the server keeps whatever it is given');
      await sleep(1);
    }

    expect(streams[0]!.closed).toBe(true);
    client.socket.resume();
    await until('the connection is cut', () => client.ended);
  });

  it('P7 gives a client that reads a backlog of any length, if it is asked to wait for it', async () => {
    const client = await follow();
    await client.says('after');
    const data = 'x'.repeat(64 * 1024);

    for (let sent = 0; sent < 100; sent++) {
      streams[0]!.send({ data });
      await streams[0]!.drained();
    }
    streams[0]!.send({ data: 'the end' });

    await client.says('the end');
    // Those who wait leave nothing behind.
    expect((streams[0] as unknown as { listeners: Set<unknown> }).listeners.size).toBeLessThan(5);
    expect(client.text.length).toBeGreaterThan(100 * data.length);
  });

  it('does not leave anyone waiting for a client that leaves', async () => {
    const client = await follow();
    await client.says('after');
    client.socket.pause();
    streams[0]!.send({ data: 'x'.repeat(900 * 1024) });
    const drained = streams[0]!.drained();

    client.socket.destroy();

    await drained;
    await until('it has ended', () => streams[0]!.closed);
  });

  it('P7 is cut a second after it was closed when its client does not read the rest', async () => {
    await overfull();

    streams[0]!.close();

    await until('it is over', () => closingLines().length === 1);
    expect(closingLines()).toMatchObject([{ aborted: true }]);
  });

  it('is documented', () => {
    const document = openApiDocument(app, info);

    expect(openApiGaps(document)).toEqual([]);
    expect(document.paths['/feeds/{name}']!.get).toMatchObject({
      parameters: expect.arrayContaining([expect.objectContaining({ name: 'Last-Event-ID', in: 'header' })]) as unknown,
      responses: { 200: { content: { 'text/event-stream': { example: expect.stringContaining('data:') } } } },
    });
  });
});

describe('a closing application', () => {
  it('P8 ends its streams in order, without waiting for their clients to leave', async () => {
    const clients = [await follow(), await follow()];
    for (const client of clients) await client.says('after');
    const start = performance.now();

    await app.close();

    expect(performance.now() - start).toBeLessThan(5000);
    for (const client of clients) {
      await until('the client has heard', () => client.ended);
      expect(client.text).toMatch(/0\r\n\r\n$/);
    }
    expect(closingLines()).toHaveLength(2);
    expect(closingLines().every((line) => !('aborted' in line))).toBe(true);
  });

  it('P8 does not wait for a client that does not read', async () => {
    await overfull();
    const start = performance.now();

    await app.close();

    expect(performance.now() - start).toBeLessThan(3000);
  });

  it('P8 opens no stream any more for a request that was under way', async () => {
    const door = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    asked = async () => {
      begun.resolve();
      await door.promise;
    };
    const client = await follow();
    await begun.promise;
    const url = await app.getUrl();
    const closed = app.close();
    await until('it closes', async () => (await fetch(url).catch(() => ({ status: 503 }))).status === 503);
    door.resolve();

    await closed;

    await until('the client has heard', () => client.ended);
    expect(streams[0]!.closed).toBe(true);
  });
});

/** A client that does not read, and as much as half a megabyte that waits for it. */
async function overfull(): Promise<void> {
  const client = await follow();
  await client.says('after');
  client.socket.pause();
  const waiting = () => (streams[0] as unknown as { response: { writableLength: number } }).response.writableLength;
  // The kernel's buffers grow for a while: it is what they do not take any more that has to wait in this process.
  await until('they are full', async () => {
    if (waiting() < 500_000) streams[0]!.send({ data: 'x'.repeat(256 * 1024) });
    const before = waiting();
    await sleep(100);
    return before >= 500_000 && waiting() === before;
  });
}
