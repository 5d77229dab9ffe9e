import { Body, Controller, Delete, Module, Post } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { IsString } from 'class-validator';
import { InProcessConfig } from '../../test/in-process-config.js';
import { exchange, expectProblem, RawConnection } from '../../test/raw-http.js';
import { createApp, loggerModule, MayBeAbsent, NoBody, Public } from '../index.js';

class NoteDto {
  @MayBeAbsent()
  @IsString()
  readonly text?: string;
}

@Public()
@Controller('notes')
class NotesController {
  @Post()
  add(@Body() { text }: NoteDto) {
    return { text: text ?? 'none' };
  }

  @Post('done')
  @NoBody()
  done() {
    return { done: true };
  }

  @Delete()
  remove() {
    return {};
  }
}

class TestConfig extends InProcessConfig {
  override PORT = 0;
}

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'notes')],
  controllers: [NotesController],
})
class NotesModule {}

let app: NestFastifyApplication;
let url: string;
beforeAll(async () => {
  app = await createApp(NotesModule, new TestConfig());
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});
afterAll(() => app.close());

async function post(body: Buffer | string, headers: Record<string, string> = {}, path = '/notes') {
  const bytes = Buffer.from(body);
  const lines = { 'Content-Type': 'application/json', 'Content-Length': String(bytes.length), ...headers };
  const head = Object.entries({ Host: 'localhost', Connection: 'close', ...lines })
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${value}\r\n`);
  const [answer] = await exchange(
    url,
    Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${head.join('')}\r\n`), bytes]),
  );
  return answer;
}

const quoted = (bytes: number[]) => Buffer.concat([Buffer.from('{"text":"'), Buffer.from(bytes), Buffer.from('"}')]);

describe('the bytes of a body', () => {
  it.each([
    ['Latin-1', quoted([0xe9])],
    ['half a character', quoted([0xe2, 0x82])],
    ['a surrogate', quoted([0xed, 0xa0, 0x80])],
    ['an overlong slash', quoted([0xc0, 0xaf])],
    ['a character outside Unicode', quoted([0xf4, 0x90, 0x80, 0x80])],
    ['UTF-16', Buffer.from('\ufeff{"text":"tea"}', 'utf16le')],
    ['UTF-16 without a byte order mark', Buffer.from('{"text":"tea"}', 'utf16le')],
    ['two byte order marks', Buffer.from('\ufeff\ufeff{}')],
    ['only a byte order mark', Buffer.from('\ufeff')],
  ])('are rejected as %s', async (_, bytes) => {
    expectProblem(await post(bytes), 400, 'malformed-body');
  });

  it('are rejected with a detail that mentions UTF-8', async () => {
    expect(await post(quoted([0xff]))).toMatchObject({ body: { detail: 'The body is not valid UTF-8.' } });
  });

  it.each([
    ['UTF-8', Buffer.from('{"text":"Zoë ☕ 😀 �"}')],
    ['UTF-8 after a byte order mark', Buffer.from('\ufeff{"text":"Zoë ☕ 😀 �"}')],
  ])('are read as %s', async (_, bytes) => {
    const answer = await post(bytes);

    expect(answer).toMatchObject({ status: 201, body: '{"text":"Zoë ☕ 😀 �"}' });
  });
});

describe('the media type of a body', () => {
  it.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'APPLICATION/JSON;CHARSET="UTF-8"',
    'application/json; charset=UTF8; profile="a;charset=latin1"',
    'application/json; version=1',
  ])('may be %s', async (type) => {
    expect((await post('{}', { 'Content-Type': type }))?.status).toBe(201);
  });

  it.each([
    'application/json; charset=utf-16',
    'application/json; charset="iso-8859-1"',
    'application/json;charset=us-ascii',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'application/merge-patch+json',
    'json',
  ])('may not be %s', async (type) => {
    const answer = await post('{}', { 'Content-Type': type });

    expectProblem(answer, 415, 'unsupported-media-type');
    expect(answer?.headers.get('accept')).toBe('application/json');
  });

  it('must be sent', async () => {
    const answer = await post('{}', { 'Content-Type': '' });

    expectProblem(answer, 415, 'unsupported-media-type');
    expect(answer?.headers.get('accept')).toBe('application/json');
  });

  it.each(['gzip', 'br', 'GZIP', 'gzip, identity', 'deflate'])(
    'may not come with the encoding %s',
    async (encoding) => {
      const answer = await post('{}', { 'Content-Encoding': encoding });

      expectProblem(answer, 415, 'unsupported-media-type');
      expect(answer?.headers.get('accept-encoding')).toBe('identity');
    },
  );

  it('may come with the encoding identity', async () => {
    expect((await post('{}', { 'Content-Encoding': 'identity' }))?.status).toBe(201);
  });

  it('does not matter if the path does not exist', async () => {
    for (const headers of [{ 'Content-Type': 'text/plain' }, { 'Content-Encoding': 'gzip' }]) {
      expectProblem(await post('{}', headers, '/nowhere'), 404, 'not-found');
    }
  });
});

describe('a request without a body', () => {
  const chunked = (chunks: string, headers = '') =>
    `Host: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n${headers}\r\n${chunks}`;

  it.each(['/notes', '/notes/done'])('is accepted by %s, however it shows that it has none', async (path) => {
    const bodies = [
      'Host: localhost\r\nConnection: close\r\n\r\n',
      'Host: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
      chunked('0\r\n\r\n'),
      chunked('0\r\nTrailer: x\r\n\r\n'),
    ];

    const answers = await Promise.all(bodies.map((body) => exchange(url, `POST ${path} HTTP/1.1\r\n${body}`)));

    expect(answers.map(([answer]) => answer?.status)).toEqual([201, 201, 201, 201]);
  });

  it.each(['/notes', '/notes/done'])('may have the media type of JSON at %s', async (path) => {
    const type = 'Content-Type: application/json\r\n';
    const [empty] = await exchange(url, `POST ${path} HTTP/1.1\r\n${chunked('0\r\n\r\n', type)}`);

    expect(empty?.status).toBe(201);
    expect((await post('', {}, path))?.status).toBe(201);
  });

  it('does not include chunks without a media type', async () => {
    const [answer] = await exchange(url, `POST /notes HTTP/1.1\r\n${chunked('2\r\n{}\r\n0\r\n\r\n')}`);

    expectProblem(answer, 415, 'unsupported-media-type');
  });

  it('may end with a late last chunk', async () => {
    const connection = await RawConnection.open(url);
    connection.send(`DELETE /notes HTTP/1.1\r\n${chunked('')}`);
    connection.send('0\r\n\r\n');
    await connection.closed;

    expect(connection.answers[0]?.status).toBe(200);
  });
});

describe('a body that is too large', () => {
  it.each([200_000, 5_000_000])('gets a 413 that the client can read completely, at %i bytes', async (length) => {
    const answer = await fetch(`${url}/notes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: 'x'.repeat(length) }),
    });

    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ type: 'urn:twinbox:problem:payload-too-large' });
  });
});
