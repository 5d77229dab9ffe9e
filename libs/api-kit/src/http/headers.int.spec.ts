import { connect } from 'node:net';
import { Body, Controller, Get, Module, NotFoundException, Param, Post, Put, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiProperty } from '@nestjs/swagger';
import { type VersionConflict, versionConflictOf } from '@twinbox/kernel';
import { IsString } from 'class-validator';
import type { FastifyReply } from 'fastify';
import { InProcessConfig } from '../../test/in-process-config.js';
import {
  conditionalPage,
  conditionalResponse,
  createApp,
  etagOf,
  loggerModule,
  openApiDocument,
  openApiGaps,
  PagePreconditions,
  parseJson,
  Preconditions,
  problemOf,
  Public,
  RawBody,
  versionConflict,
} from '../index.js';

class NoteDto {
  @ApiProperty({ example: 'tea' })
  @IsString()
  readonly text!: string;
}

class SavedNoteDto extends NoteDto {
  @ApiProperty({ example: 3 })
  readonly version!: number;
}

const VERSION = 3;
/** What the list has. */
let text = 'tea';
/** At the end of a second. */
const MODIFIED = new Date('2026-11-20T10:00:05.900Z');

@Public()
@Controller('notes')
class NotesController {
  @Get()
  @ApiOperation({ summary: 'Notes' })
  @ApiOkResponse({ type: NoteDto })
  list(@PagePreconditions() preconditions: PagePreconditions, @Res({ passthrough: true }) reply: FastifyReply) {
    return conditionalPage(reply, preconditions, { text });
  }

  @Get(':id')
  @ApiOperation({ summary: 'A note' })
  @ApiOkResponse({ type: SavedNoteDto })
  get(
    @Param('id') id: string,
    @Preconditions() preconditions: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const modifiedAt = id === 'now' ? new Date() : id === 'undated' ? undefined : MODIFIED;
    if (id === 'new') throw new NotFoundException();
    return conditionalResponse(
      reply,
      preconditions,
      etagOf(VERSION, 'late'),
      { text: 'tea', version: VERSION },
      modifiedAt,
    );
  }

  @Put(':id')
  @ApiOperation({ summary: 'Change it' })
  @ApiOkResponse({ type: NoteDto })
  put(@Param('id') id: string, @Body() note: NoteDto, @Preconditions() { version }: Preconditions) {
    const conflict = versionConflictOf(version, id === 'new' ? 0 : VERSION, id === 'new' ? undefined : MODIFIED);
    if (!conflict) return note;
    throw problemOf<VersionConflict>(conflict.rejection, { 'version-conflict': versionConflict });
  }

  @Post('signed')
  @ApiOperation({ summary: 'Signed bytes' })
  @ApiCreatedResponse({ type: NoteDto })
  signed(@RawBody() bytes: Buffer) {
    const { text } = parseJson(bytes) as NoteDto;
    return { text, base64: bytes.toString('base64') };
  }

  @Post('bytes')
  @ApiOperation({ summary: 'Bytes' })
  @ApiCreatedResponse({ type: NoteDto })
  bytes(@RawBody() bytes: Buffer) {
    return { length: bytes.length };
  }
}

class TestConfig extends InProcessConfig {
  override PORT = 0;
  override CORS_ORIGINS = ['http://localhost:3000'];
}

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'notes')],
  controllers: [NotesController],
})
class NotesModule {}

const info = { title: 'Notes', description: 'Notes.', version: '1.0.0' };
let app: NestFastifyApplication;

beforeAll(async () => {
  app = await createApp(NotesModule, new TestConfig(), info);
  await app.listen(0, '127.0.0.1');
});
afterAll(() => app.close());

async function call(path: string, init: RequestInit = {}) {
  const response = await fetch((await app.getUrl()) + path, init);
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
  };
}

const json = { 'content-type': 'application/json' };

const put = (headers: Record<string, string>, id = '1') =>
  call(`/notes/${id}`, { method: 'PUT', headers: { ...json, ...headers }, body: '{"text":"mug"}' });
const get = (headers: Record<string, string>, id = '1', method = 'GET') => call(`/notes/${id}`, { method, headers });

// Has more digits than any version.
const nines = `"${'9'.repeat(16)}"`;

describe('a change with If-Match (RFC 9110, section 13.1.1)', () => {
  it('is made if the client has read the current version', async () => {
    const { headers } = await get({});

    expect(headers.get('etag')).toBe('"3-late"');
    expect((await put({ 'if-match': headers.get('etag')! })).status).toBe(200);
    expect((await put({})).status).toBe(200);
  });

  it.each([
    '"3"',
    '"3-late"',
    '"3-37"',
    '"3-37-0"',
    '*',
    '"2", "3"',
    '"2","3","4"',
    '"x", "3"',
    ' ,, "3" ,',
    '"a,b" , "3"',
    'W/"2", "3"',
  ])('is made for %s', async (ifMatch) => {
    expect((await put({ 'if-match': ifMatch })).status).toBe(200);
  });

  it.each([
    ['"2"', 2],
    ['"2", "4"', [2, 4]],
    ['W/"3"', []],
    ['W/"3", "2"', 2],
    ['"x"', []],
    ['""', []],
    ['"03"', []],
    ['"-3"', []],
    ['"3,4"', []],
    ['"3-"', []],
    ['"3-early"', []],
    ['"3-037"', []],
    ['"3-37-"', []],
    ['"3-late-37"', []],
    ['"3-nonsense", "2"', 2],
    [nines, []],
  ])('is rejected for %s', async (ifMatch, expected) => {
    expect(await put({ 'if-match': ifMatch })).toMatchObject({
      status: 412,
      body: { type: 'urn:twinbox:problem:version-conflict', expected, actual: 3 },
    });
  });

  it.each(['*', '"3"', '"0"', '"x"'])('is rejected for %s if the note does not exist', async (ifMatch) => {
    expect(await put({ 'if-match': ifMatch }, 'new')).toMatchObject({
      status: 412,
      body: { actual: 0, detail: 'The resource does not exist yet, so it cannot be changed.' },
    });
  });
});

describe('a change with If-None-Match (RFC 9110, section 13.1.2)', () => {
  it.each([
    ['*', 'new'],
    ['"3"', 'new'],
    ['"2"', '1'],
    ['W/"2", "4"', '1'],
    ['"x"', '1'],
  ])('is made for %s to the note %s', async (ifNoneMatch, id) => {
    expect((await put({ 'if-none-match': ifNoneMatch }, id)).status).toBe(200);
  });

  it.each([
    ['*', '*'],
    ['"3"', 3],
    ['W/"3"', 3],
    ['"1", W/"3"', [1, 3]],
  ])('is rejected for %s', async (ifNoneMatch, unexpected) => {
    expect(await put({ 'if-none-match': ifNoneMatch })).toMatchObject({
      status: 412,
      body: { type: 'urn:twinbox:problem:version-conflict', unexpected, actual: 3 },
    });
  });

  it('is rejected if only one of both conditions holds', async () => {
    expect((await put({ 'if-match': '"3"', 'if-none-match': '*' })).status).toBe(412);
    expect((await put({ 'if-match': '"2"', 'if-none-match': '"2"' })).status).toBe(412);
    expect((await put({ 'if-match': '"3"', 'if-none-match': '"2"' })).status).toBe(200);
  });
});

describe('a list', () => {
  const list = (headers: Record<string, string> = {}) => call('/notes', { headers });

  it('is sent again only when it has changed', async () => {
    const first = await list();
    const etag = first.headers.get('etag') ?? '';
    const known = await list({ 'if-none-match': `"other", ${etag}` });

    text = 'coffee';
    const changed = await list({ 'if-none-match': etag });

    expect([first.status, known.status, changed.status]).toEqual([200, 304, 200]);
    expect([known.text, known.headers.get('etag')]).toEqual(['', etag]);
    expect(changed.headers.get('etag')).not.toBe(etag);
  });

  it('ignores If-Match, which has no meaning for it, and refuses a malformed If-None-Match', async () => {
    expect((await list({ 'if-match': 'x' })).status).toBe(200);
    expect((await list({ 'if-none-match': 'x' })).status).toBe(400);
  });
});

describe.each(['GET', 'HEAD'])('a %s with preconditions', (method) => {
  it.each(['"3-late"', 'W/"3-late"', '*', '"1", "3-late"', ',"x" ,W/"3-late",'])(
    'is a 304 for If-None-Match %s, with the headers of the 200 and no body',
    async (ifNoneMatch) => {
      const origin = 'http://localhost:3000';
      const full = await get({ origin }, '1', method);

      const known = await get({ origin, 'if-none-match': ifNoneMatch }, '1', method);

      expect([full.status, known.status]).toEqual([200, 304]);
      expect(known.text).toBe('');
      for (const name of ['etag', 'cache-control', 'vary', 'access-control-allow-origin'])
        expect([name, known.headers.get(name)]).toEqual([name, full.headers.get(name)]);
      expect(known.headers.get('etag')).toBe('"3-late"');
      expect(known.headers.get('cache-control')).toBe('no-cache');
      expect(known.headers.get('vary')).toBe('Origin, X-User-Id, X-Roles');
      // A 304 has the same length as the 200, or none (RFC 9110, section 8.6).
      const length = known.headers.get('content-length');
      expect([null, full.headers.get('content-length')]).toContain(length);
    },
  );

  it.each(['"2"', '"3"', '"3-early"', 'W/"x"', '"2", "4"'])(
    'is a 200 for If-None-Match %s, which does not match the current representation',
    async (ifNoneMatch) => {
      expect((await get({ 'if-none-match': ifNoneMatch }, '1', method)).status).toBe(200);
    },
  );

  it.each<[number, Record<string, string>]>([
    [200, { 'if-match': '"3"' }],
    [200, { 'if-match': '*' }],
    [412, { 'if-match': '"2"' }],
    [412, { 'if-match': '"2"', 'if-none-match': '"3-late"' }],
    [304, { 'if-match': '"3-late"', 'if-none-match': '"3-late"' }],
    [200, { 'if-match': '"2", "3-late"' }],
    [412, { 'if-match': 'W/"3-late"' }],
    [412, { 'if-match': '"3-37"' }],
    [412, { 'if-match': '"3-customer", "2"' }],
    [412, { 'if-match': '"3-nonsense"' }],
  ])('is a %i for %j: If-Match comes first (RFC 9110, section 13.2.2)', async (status, headers) => {
    expect((await get(headers, '1', method)).status).toBe(status);
  });

  it.each([{ 'if-none-match': '*' }, { 'if-match': '"1"' }])(
    'is a 404 for a note that does not exist, whatever the precondition: %j',
    async (headers) => {
      expect((await get(headers, 'new', method)).status).toBe(404);
    },
  );
});

describe('a precondition', () => {
  it.each(['3', '"3', '3"', '', ',', ' , ', '*, "3"', '*, *', 'w/"3"', 'W/3', 'W/ "3"', '"3" "4"', '"a b"', '"3";"4"'])(
    'is rejected as malformed: %j',
    async (value) => {
      for (const name of ['If-Match', 'If-None-Match'])
        for (const answer of [await put({ [name]: value }), await get({ [name]: value })])
          expect(answer).toMatchObject({
            status: 400,
            body: { type: 'urn:twinbox:problem:validation', errors: [{ parameter: name }] },
          });
    },
  );

  it('may span several header lines', async () => {
    const { hostname, port } = new URL(await app.getUrl());
    const lines = async (...values: string[]) => {
      const socket = connect(Number(port), hostname);
      const fields = values.map((value) => `If-None-Match: ${value}\r\n`).join('');
      socket.write(`GET /notes/1 HTTP/1.1\r\nHost: localhost\r\n${fields}Connection: close\r\n\r\n`);
      let answer = '';
      for await (const chunk of socket) answer += String(chunk);
      return Number(answer.split(' ')[1]);
    };

    expect(await lines('"1"', '"3-late"')).toBe(304);
    expect(await lines('"1"', '"2"')).toBe(200);
    expect(await lines('*', '"3-late"')).toBe(400);
  });

  const before = 'Fri, 20 Nov 2026 10:00:04 GMT';
  const same = 'Fri, 20 Nov 2026 10:00:05 GMT';
  const later = 'Friday, 20-Nov-26 10:00:06 GMT';

  it.each(['GET', 'HEAD'])('by date can use the Last-Modified of a %s (RFC 9110, section 8.8.2)', async (method) => {
    expect((await get({}, '1', method)).headers.get('last-modified')).toBe(same);
    expect((await get({}, 'undated', method)).headers.get('last-modified')).toBeNull();
  });

  it.each<[number, Record<string, string>, string]>([
    [304, { 'if-modified-since': same }, '1'],
    [304, { 'if-modified-since': later }, '1'],
    [200, { 'if-modified-since': before }, '1'],
    [200, { 'if-modified-since': 'tomorrow' }, '1'],
    [200, { 'if-modified-since': later, 'if-none-match': '"2"' }, '1'],
    [304, { 'if-modified-since': before, 'if-none-match': '"3-late"' }, '1'],
    [200, { 'if-modified-since': later }, 'undated'],
    [200, { 'if-unmodified-since': same }, '1'],
    [412, { 'if-unmodified-since': before }, '1'],
    [412, { 'if-unmodified-since': before, 'if-none-match': '"3-late"' }, '1'],
    [200, { 'if-unmodified-since': 'yesterday' }, '1'],
    [200, { 'if-unmodified-since': before, 'if-match': '"3"' }, '1'],
    [200, { 'if-unmodified-since': before }, 'undated'],
  ])('by date is evaluated: %i for %j', async (status, headers, id) => {
    for (const method of ['GET', 'HEAD']) expect((await get(headers, id, method)).status).toBe(status);
  });

  it.each([
    [200, { 'if-unmodified-since': same }, '1'],
    [200, { 'if-unmodified-since': later }, '1'],
    [200, { 'if-unmodified-since': before }, 'new'],
    [200, { 'if-unmodified-since': before, 'if-match': '"3"' }, '1'],
    [200, { 'if-unmodified-since': 'yesterday' }, '1'],
    [200, { 'if-modified-since': later }, '1'],
    [412, { 'if-unmodified-since': before }, '1'],
    [412, { 'if-unmodified-since': later, 'if-match': '"2"' }, '1'],
  ])('by date makes a change return %i for %j', async (status, headers, id) => {
    expect((await put(headers as Record<string, string>, id)).status).toBe(status);
  });

  it('takes time proportional to its length', async () => {
    const longest = ' '.repeat(7000);

    for (const value of [`,${longest}x`, `"1"${longest}x`, `"1",${longest}x`, `${'"1",'.repeat(1700)}x`])
      expect((await get({ 'if-none-match': value })).status).toBe(400);
    expect((await get({ 'if-none-match': `${'"1",'.repeat(1700)}"3-late"` })).status).toBe(304);
  });

  it('is documented with its responses', () => {
    const document = openApiDocument(app, info);
    const { get: read, put: change } = document.paths['/notes/{id}']!;

    expect(openApiGaps(document)).toEqual([]);
    const parameters = expect.arrayContaining([
      expect.objectContaining({ name: 'If-Match', in: 'header', required: false }),
      expect.objectContaining({ name: 'If-None-Match', in: 'header', required: false }),
    ]) as unknown;
    const conflict = { content: { 'application/problem+json': { examples: { 'version-conflict': {} } } } };
    expect(change).toMatchObject({ parameters, responses: { 200: { headers: { ETag: {} } }, 412: conflict } });
    expect(change!.responses).not.toHaveProperty('304');
    const validators = { headers: { ETag: {}, 'Cache-Control': {}, Vary: {} } };
    expect(read).toMatchObject({ parameters, responses: { 200: validators, 304: validators, 412: conflict } });
    expect(read!.responses['304']).not.toHaveProperty('content');
  });

  it.each(['*', '"3"', 'W/"3"', '"2", W/"3"', ',"2" ,, "3",'])('is documented by a pattern that allows %s', (value) => {
    expect(pattern().test(value)).toBe(true);
  });

  it.each(['', ',', '3', '*,"3"', 'w/"3"', '"2" "3"'])('is documented by a pattern that forbids %j', (value) => {
    expect(pattern().test(value)).toBe(false);
  });

  function pattern(): RegExp {
    const parameter = openApiDocument(app, info).paths['/notes/{id}']!.put!.parameters!.find(
      (each) => 'name' in each && each.name === 'If-Match',
    );
    return new RegExp((parameter as { schema: { pattern: string } }).schema.pattern);
  }
});

describe('the raw body', () => {
  const post = (path: string, body: string, headers = json) => call(path, { method: 'POST', headers, body });

  it('contains every byte as received, and is parsed by the handler after verification', async () => {
    const sent = '{ "text" :\t"\\u0074ea ☕" }\r\n';

    const { body } = await post('/notes/signed', sent);

    expect(body['text']).toBe('tea ☕');
    expect(Buffer.from(String(body['base64']), 'base64').toString()).toBe(sent);
  });

  it('is available without a parsed body, and is empty if there is no body', async () => {
    expect((await post('/notes/bytes', '{"a":1}')).body).toEqual({ length: 7 });
    expect((await call('/notes/bytes', { method: 'POST' })).body).toEqual({ length: 0 });
  });

  it.each([
    ['invalid JSON', '{', json, 400, 'malformed-body'],
    ['empty', '', json, 400, 'malformed-body'],
    ['a prototype', '{"__proto__":{}}', json, 400, 'malformed-body'],
    ['a form', 'text=tea', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported-media-type'],
    ['too large', JSON.stringify({ text: 'x'.repeat(200_000) }), json, 413, 'payload-too-large'],
    ['full of too many values', `[${'1,'.repeat(500)}1]`, json, 400, 'validation'],
  ])('is rejected like any other body if it is %s', async (_, body, headers, status, code) => {
    expect(await post('/notes/signed', body, headers)).toMatchObject({
      status,
      body: { type: `urn:twinbox:problem:${code}` },
    });
  });
});

describe('a web page of another origin', () => {
  const origin = 'http://localhost:3000';

  it.each(['PUT', 'PATCH', 'DELETE', 'POST'])('may send %s with the headers of a change', async (method) => {
    const wanted = ['idempotency-key', 'if-match', 'if-none-match', 'last-event-id'];
    const answer = await call('/notes/1', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': wanted.join(','),
      },
    });

    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-methods')).toContain(method);
    for (const header of wanted) expect(answer.headers.get('access-control-allow-headers')).toContain(header);
  });

  it('may read the response headers of a change', async () => {
    const { headers } = await call('/notes/1', { headers: { origin } });

    const exposed = headers.get('access-control-expose-headers');
    for (const header of ['ETag', 'Location', 'Idempotent-Replayed']) expect(exposed).toContain(header);
  });
});
