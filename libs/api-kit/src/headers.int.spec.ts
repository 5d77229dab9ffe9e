import { Body, Controller, Get, Module, Param, Post, Put, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiProperty } from '@nestjs/swagger';
import { IsString } from 'class-validator';
import type { FastifyReply } from 'fastify';
import {
  createApp,
  etagOf,
  type ExpectedVersion,
  IfMatch,
  loggerModule,
  openApiDocument,
  openApiGaps,
  problemOf,
  Public,
  RawBody,
  ServiceConfig,
  type VersionConflict,
  versionConflict,
} from './index.js';

class NoteDto {
  @ApiProperty({ example: 'tea' })
  @IsString()
  readonly text!: string;
}

const VERSION = 3;

@Public()
@Controller('notes')
class NotesController {
  @Get(':id')
  @ApiOperation({ summary: 'A note' })
  @ApiOkResponse({ type: NoteDto })
  get(@Param('id') _: string, @Res({ passthrough: true }) reply: FastifyReply) {
    reply.header('etag', etagOf(VERSION));
    return { text: 'tea' };
  }

  @Put(':id')
  @ApiOperation({ summary: 'Change it' })
  @ApiOkResponse({ type: NoteDto })
  put(@Param('id') id: string, @Body() note: NoteDto, @IfMatch() expected: ExpectedVersion | undefined) {
    const actual = id === 'new' ? 0 : VERSION;
    if (expected === undefined || expected === actual || (expected === '*' && actual > 0)) return note;
    const rejection = { code: 'version-conflict', expected, actual } as const;
    throw problemOf<VersionConflict>(rejection, { 'version-conflict': versionConflict });
  }

  @Post('signed')
  @ApiOperation({ summary: 'Signed bytes' })
  @ApiCreatedResponse({ type: NoteDto })
  signed(@Body() note: NoteDto, @RawBody() bytes: Buffer) {
    return { text: note.text, base64: bytes.toString('base64') };
  }

  @Post('bytes')
  @ApiOperation({ summary: 'Bytes' })
  @ApiCreatedResponse({ type: NoteDto })
  bytes(@RawBody() bytes: Buffer) {
    return { length: bytes.length };
  }
}

class TestConfig extends ServiceConfig {
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
    body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
  };
}

const json = { 'content-type': 'application/json' };

describe('If-Match', () => {
  const put = (ifMatch?: string, id = '1') =>
    call(`/notes/${id}`, {
      method: 'PUT',
      headers: { ...json, ...(ifMatch !== undefined && { 'if-match': ifMatch }) },
      body: '{"text":"mug"}',
    });

  it('lets a change through that was made to what is there', async () => {
    const { headers } = await call('/notes/1');

    expect(headers.get('etag')).toBe('"3"');
    expect((await put(headers.get('etag')!)).status).toBe(200);
    expect((await put()).status).toBe(200);
  });

  it('refuses a change that was made to another version', async () => {
    expect(await put('"2"')).toMatchObject({
      status: 412,
      body: { type: 'urn:twinbox:problem:version-conflict', expected: 2, actual: 3 },
    });
  });

  it('tells a change of what there is, whatever its version, from one of nothing', async () => {
    expect((await put('*')).status).toBe(200);
    expect(await put('*', 'new')).toMatchObject({
      status: 412,
      body: { expected: '*', actual: 0, detail: 'There is nothing yet that could be changed.' },
    });
  });

  it.each(['3', 'W/"3"', '"03"', '"-3"', '"x"', '"3", "4"', '"3', '', `"${'9'.repeat(16)}"`])(
    'is refused when it says %j, which is no ETag of ours',
    async (ifMatch) => {
      expect(await put(ifMatch)).toMatchObject({
        status: 400,
        body: { type: 'urn:twinbox:problem:validation', errors: [{ parameter: 'If-Match' }] },
      });
    },
  );

  it('is documented, with its problem', () => {
    const document = openApiDocument(app, info);

    expect(openApiGaps(document)).toEqual([]);
    expect(document.paths['/notes/{id}']!.put).toMatchObject({
      parameters: expect.arrayContaining([expect.objectContaining({ name: 'If-Match', in: 'header' })]) as unknown,
      responses: { 412: { content: { 'application/problem+json': { examples: { 'version-conflict': {} } } } } },
    });
    expect(document.paths['/notes/{id}']!.get!.responses).not.toHaveProperty('412');
  });
});

describe('the raw body', () => {
  const post = (path: string, body: string, headers = json) => call(path, { method: 'POST', headers, body });

  it('is every byte as it came, beside the parsed one', async () => {
    const sent = '{ "text" :\t"\\u0074ea ☕" }\r\n';

    const { body } = await post('/notes/signed', sent);

    expect(body['text']).toBe('tea ☕');
    expect(Buffer.from(String(body['base64']), 'base64').toString()).toBe(sent);
  });

  it('is there where no parsed one is asked for, and empty without a body', async () => {
    expect((await post('/notes/bytes', '{"a":1}')).body).toEqual({ length: 7 });
    expect((await call('/notes/bytes', { method: 'POST' })).body).toEqual({ length: 0 });
  });

  it.each([
    ['no JSON', '{', json, 400, 'malformed-body'],
    ['nothing', '', json, 400, 'malformed-body'],
    ['a prototype', '{"__proto__":{}}', json, 400, 'malformed-body'],
    ['a form', 'text=tea', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported-media-type'],
    ['too much', JSON.stringify({ text: 'x'.repeat(200_000) }), json, 413, 'payload-too-large'],
    ['a wrong field', '{"text":1}', json, 400, 'validation'],
  ])('is refused like any other when it is %s', async (_, body, headers, status, code) => {
    expect(await post('/notes/signed', body, headers)).toMatchObject({
      status,
      body: { type: `urn:twinbox:problem:${code}` },
    });
  });
});

describe('a web page of another origin', () => {
  const origin = 'http://localhost:3000';

  it.each(['PUT', 'PATCH', 'DELETE', 'POST'])('may send %s, and the headers of a change', async (method) => {
    const wanted = ['idempotency-key', 'if-match', 'last-event-id'];
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

  it('may read what a change answers with', async () => {
    const { headers } = await call('/notes/1', { headers: { origin } });

    const exposed = headers.get('access-control-expose-headers');
    for (const header of ['ETag', 'Location', 'Idempotent-Replayed']) expect(exposed).toContain(header);
  });
});
