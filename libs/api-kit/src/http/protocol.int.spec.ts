import { Body, Controller, Get, Module, Post } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { until } from '@twinbox/messaging/testing';
import { InProcessConfig } from '../../test/in-process-config.js';
import { exchange, expectProblem, RawConnection } from '../../test/raw-http.js';
import { createApp, loggerModule, Public } from '../index.js';

const ORIGIN = 'https://shop.example';

let release = (): void => undefined;
let isWaiting = false;

@Public()
@Controller('notes')
class NotesController {
  @Get()
  list() {
    return [];
  }

  @Post()
  add(@Body() body: unknown) {
    return { body: body ?? 'none' };
  }

  @Get('slow')
  async slow() {
    const released = new Promise<void>((resolve) => (release = resolve));
    isWaiting = true;
    await released;
    isWaiting = false;
    return { slow: true };
  }
}

class TestConfig extends InProcessConfig {
  override PORT = 0;
  override CORS_ORIGINS = [ORIGIN];
  override ALLOWED_HOSTS = ['a', 'shop_1.example'];
}

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'notes')],
  controllers: [NotesController],
})
class NotesModule {}

async function start(): Promise<{ app: NestFastifyApplication; url: string }> {
  const app = await createApp(NotesModule, new TestConfig(), { title: 'Notes', description: 'Notes.', version: '1' });
  await app.listen(0, '127.0.0.1');
  return { app, url: await app.getUrl() };
}

let app: NestFastifyApplication;
let url: string;
beforeAll(async () => ({ app, url } = await start()));
afterAll(() => app.close());

const CLOSE = 'Connection: close\r\n';
const FROM_PAGE = `Origin: ${ORIGIN}\r\n`;

describe('a request with invalid framing', () => {
  it.each([
    ['no Host', 'GET /notes HTTP/1.1\r\n', 400],
    ['two Host lines', 'GET /notes HTTP/1.1\r\nHost: a\r\nHost: b\r\n', 400],
    ['the same Host twice', 'GET /notes HTTP/1.1\r\nHost: a\r\nhost: a\r\n', 400],
    ['two Host lines in HTTP/1.0', 'GET /notes HTTP/1.0\r\nHost: a\r\nHost: b\r\n', 400],
    ['an invalid Host', 'GET /notes HTTP/1.1\r\nHost: http://a/b\r\n', 400],
    ['an unknown transfer coding', 'POST /notes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n', 501],
    [
      'an unknown transfer coding in a line of its own',
      'POST /notes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n',
      501,
    ],
    ['an unknown expectation', 'GET /notes HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n', 417],
  ])('is rejected because of %s, whether or not the path exists', async (_, head, status) => {
    for (const path of ['/notes', '/nowhere']) {
      const request = `${head.replace('/notes', path)}${FROM_PAGE}X-Request-Id: r-1\r\n\r\n`;
      const [answer] = await exchange(url, request.includes('chunked') ? `${request}0\r\n\r\n` : request);

      const codes: Record<number, string> = { 400: 'bad-request', 417: 'expectation-failed', 501: 'not-implemented' };
      expectProblem(answer, status, codes[status] ?? '');
      expect(answer?.headers.get('x-request-id')).toBe('r-1');
      expect(answer?.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    }
  });

  it.each(['a', 'a:80', '127.0.0.1:8081', '[::1]:8081', 'shop_1.example', 'a:'])(
    'does not include the Host %j',
    async (host) => {
      const [answer] = await exchange(url, `GET /notes HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}\r\n`);

      expect(answer?.status).toBe(200);
    },
  );

  it('does not include HTTP/1.0, nor 100-continue', async () => {
    const [old] = await exchange(url, 'GET /notes HTTP/1.0\r\nHost: a\r\n\r\n');
    const body = `POST /notes HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Type: application/json\r\n`;
    const [expecting] = await exchange(url, `${body}Content-Length: 2\r\n${CLOSE}\r\n{}`);

    expect(old?.status).toBe(200);
    expect(expecting?.status).toBe(201);
  });

  it.each([
    ['invalid HTTP', 'hello\r\n\r\n', 400, 'bad-request'],
    [
      'a head that is too large',
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'request-header-fields-too-large',
    ],
    [
      'two lengths',
      'POST /notes HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
      'bad-request',
    ],
    [
      'a length and chunks',
      'POST /notes HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
      'bad-request',
    ],
    ['an unknown method', 'BREW /notes HTTP/1.1\r\nHost: a\r\n\r\n', 501, 'not-implemented'],
    ['a method in lower case', 'get /notes HTTP/1.1\r\nHost: a\r\n\r\n', 501, 'not-implemented'],
    ['a method that begins like another', 'GETS /notes HTTP/1.1\r\nHost: a\r\n\r\n', 501, 'not-implemented'],
    ['an unknown method without a version', 'BREW /notes\r\n\r\n', 400, 'bad-request'],
    ['a tunnel', 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', 501, 'not-implemented'],
  ])('gets a problem document for %s', async (_, request, status, code) => {
    const [answer] = await exchange(url, request);

    expectProblem(answer, status, code);
    expect(answer?.headers.get('connection')).toBe('close');
  });

  it('keeps its id and its CORS headers when its body is malformed', async () => {
    const head = `POST /notes HTTP/1.1\r\nHost: a\r\n${FROM_PAGE}X-Request-Id: r-2\r\nContent-Type: application/json\r\n`;

    const answers = await exchange(url, `${head}Transfer-Encoding: chunked\r\n\r\nnonsense\r\n`);

    expect(answers).toHaveLength(1);
    expectProblem(answers[0], 400, 'bad-request');
    expect(answers[0]?.headers.get('x-request-id')).toBe('r-2');
    expect(answers[0]?.headers.get('access-control-allow-origin')).toBe(ORIGIN);
  });

  it('is answered after the requests before it on the connection', async () => {
    const connection = await RawConnection.open(url);
    connection.send('GET /notes/slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('the first request is in flight', () => isWaiting);
    connection.send('nonsense\r\n\r\n');
    // The server has answered a later connection, so it has read this request.
    await exchange(url, `GET /notes HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\n`);
    release();

    await connection.closed;

    expect(connection.answers.map(({ status }) => status)).toEqual([200, 400]);
    expectProblem(connection.answers[1], 400, 'bad-request');
  });
});

describe('a path that the router cannot read', () => {
  it.each(['/%', '/notes/%zz', '/%C0%80', `/${'x'.repeat(10_000)}%`])(
    'is rejected like any other request: %s',
    async (path) => {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const [answer] = await exchange(
          url,
          `${method} ${path} HTTP/1.1\r\nHost: a\r\n${FROM_PAGE}X-Request-Id: r-3\r\n${CLOSE}\r\n`,
        );

        expectProblem(answer, 400, 'bad-request');
        expect(answer?.headers.get('x-request-id')).toBe('r-3');
        expect(answer?.headers.get('access-control-allow-origin')).toBe(ORIGIN);
        expect(answer?.body.detail).not.toContain(path);
      }
    },
  );

  it('P10 is rejected without repeating its query, which may contain a token', async () => {
    for (const target of ['/notes/%zz?a=eyJh', '/notes/%zz#a=eyJh', 'nowhere?a=eyJh', 'http://a/%zz?a=eyJh']) {
      const [answer] = await exchange(url, `GET ${target} HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\n`);

      expectProblem(answer, 400, 'bad-request');
      expect(JSON.stringify(answer?.body)).not.toContain('eyJh');
    }
  });
});

describe('OPTIONS', () => {
  const options = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${url}${path}`, { method: 'OPTIONS', headers });

  it('lists the methods of a path', async () => {
    const answer = await options('/notes?x=1');

    expect(answer.status).toBe(204);
    expect(answer.headers.get('allow')).toBe('GET, HEAD, POST, OPTIONS');
    expect(answer.headers.get('x-request-id')).toMatch(/\S/);
    expect((await options('/notes/slow')).headers.get('allow')).toBe('GET, HEAD, OPTIONS');
  });

  it('returns 404 for an unknown path', async () => {
    const answer = await options('/nowhere');

    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  it('lists all methods for the server as a whole', async () => {
    const [answer] = await exchange(url, `OPTIONS * HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\n`);

    expect(answer?.status).toBe(204);
    expect(answer?.headers.get('allow')).toBe('GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
  });

  it('answers the preflight of a web page even for an unknown path', async () => {
    const headers = { origin: ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': 'a' };

    for (const path of ['/notes', '/notes/slow', '/nowhere']) {
      const answer = await options(path, headers);

      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
      expect(answer.headers.get('access-control-allow-methods')).toContain('PATCH');
      expect(answer.headers.get('access-control-allow-headers')).toBe('a');
      expect(answer.headers.get('x-request-id')).toMatch(/\S/);
    }
    const foreign = await options('/notes', { ...headers, origin: 'https://evil.example' });
    expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('is not needed for a page of an allowed origin to read a 405', async () => {
    const answer = await fetch(`${url}/notes`, { method: 'DELETE', headers: { origin: ORIGIN } });

    expect(answer.status).toBe(405);
    expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(answer.headers.get('access-control-expose-headers')).toContain('Allow');
    expect(answer.headers.get('allow')).toBe('GET, HEAD, POST, OPTIONS');
  });
});

describe('a replica that is shutting down', () => {
  it('P8 answers further requests with a 503 and Retry-After', async () => {
    const { app: stopping, url: its } = await start();
    const connection = await RawConnection.open(its);
    connection.send('GET /notes/slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('the request is in flight', () => isWaiting);

    const closed = stopping.close();
    await until('the replica is shutting down', () => !stopping.getHttpServer().listening);
    connection.send(`GET /notes HTTP/1.1\r\nHost: a\r\n${FROM_PAGE}X-Request-Id: r-4\r\n\r\n`);
    connection.send(`GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n`);
    await exchange(url, `GET /notes HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\n`);
    release();
    await closed;
    await connection.closed;

    const [slow, late] = connection.answers;
    expect(slow?.status).toBe(200);
    expectProblem(late, 503, 'service-stopping');
    expect(late?.headers.get('retry-after')).toBe('1');
    expect(late?.headers.get('x-request-id')).toBe('r-4');
    expect(late?.headers.get('access-control-allow-origin')).toBe(ORIGIN);
  });
});
