import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { Body, Controller, HttpCode, Module, Param, Post, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOperation, ApiProperty } from '@nestjs/swagger';
import { IsInt, IsString } from 'class-validator';
import { until } from '@twinbox/messaging/testing';
import type { FastifyReply } from 'fastify';
import { DataSource, type EntityManager } from 'typeorm';
import { InProcessConfig } from '../../test/in-process-config.js';
import {
  createApp,
  createDataSource,
  databaseModule,
  IdempotencyKey,
  idempotencyKeyRoles,
  idempotencyTable,
  IgnoreQuery,
  loggerModule,
  openApiDocument,
  openApiGaps,
  ProblemException,
  UnitOfWork,
  UnitOfWorkModule,
} from '../index.js';
import { IdempotencyHousekeeping } from './unit-of-work.module.js';

const SCHEMA = `idempotency_${process.pid}`;
const ROLE = SCHEMA;
const given = process.env['TEST_DATABASE_URL'];
if (!given) throw new Error('TEST_DATABASE_URL is not set. Run the tests with npm test.');
// Roles connect directly to the server, because a pooler knows only its superuser.
const asRole = new URL(process.env['TEST_DIRECT_DATABASE_URL'] ?? given);
asRole.username = ROLE;
asRole.password = 'secret';

class NoteDto {
  @ApiProperty({ example: 'tea' })
  @IsString()
  readonly text!: string;

  @ApiProperty({ example: 1 })
  @IsInt()
  readonly count!: number;
}

class SavedDto extends NoteDto {
  @ApiProperty({ example: 1 })
  readonly id!: number;

  @ApiProperty({ example: '2026-11-21T09:30:00.000Z' })
  readonly savedAt!: Date;
}

/** The owner of the note. */
let owner: string | undefined;
/** Runs within each unit of work, after its change. */
let within: (tx: EntityManager) => void | Promise<void> = () => undefined;

@Controller('notes')
class NotesController {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  @Post()
  @ApiOperation({ summary: 'Save a note' })
  @ApiCreatedResponse({ type: SavedDto })
  async save(
    @Body() note: NoteDto,
    @IdempotencyKey() key: IdempotencyKey | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const saved = await this.unitOfWork.run(
      key,
      (tx) => this.insert(tx, note),
      () => owner,
    );
    reply.header('location', `/notes/${saved.id}`);
    return saved;
  }

  @Post(':list')
  @IgnoreQuery()
  @ApiOperation({ summary: 'Save a note in a list' })
  @ApiCreatedResponse({ type: SavedDto })
  async saveIn(@Param('list') _: string, @Body() note: NoteDto, @IdempotencyKey() key: IdempotencyKey | undefined) {
    return await this.unitOfWork.run(key, (tx) => this.insert(tx, note));
  }

  @Post(':list/ticks')
  @HttpCode(204)
  @ApiOperation({ summary: 'Tick it off' })
  @ApiNoContentResponse()
  async tick(@Param('list') _: string, @IdempotencyKey() key: IdempotencyKey | undefined): Promise<void> {
    await this.unitOfWork.run(key, async (tx) => {
      await this.insert(tx, { text: 'tick', count: 1 });
    });
  }

  private async insert(tx: EntityManager, { text, count }: NoteDto): Promise<SavedDto> {
    const [row]: { id: number; saved_at: Date }[] = await tx.query(
      'insert into notes (text, count) values ($1, $2) returning id, saved_at',
      [text, count],
    );
    await within(tx);
    return { id: row!.id, savedAt: row!.saved_at, text, count };
  }
}

class TestConfig extends InProcessConfig {
  override PORT = 0;
}

@Module({
  imports: [
    loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'notes'),
    databaseModule({ url: asRole.href, schema: SCHEMA, applicationName: 'notes', poolSize: 4 }),
    UnitOfWorkModule,
  ],
  controllers: [NotesController],
})
class NotesModule {}

const info = { title: 'Notes', description: 'Notes.', version: '1.0.0' };
let admin: DataSource;
let app: NestFastifyApplication;
let replica: NestFastifyApplication;

beforeAll(async () => {
  admin = await createDataSource({ url: given, schema: 'public', applicationName: 'test' });
  await admin.query(`create schema ${SCHEMA}`);
  await admin.query(`create table ${SCHEMA}.notes (
    id serial primary key, text text not null, count int not null, saved_at timestamptz not null default now())`);
  for (const statement of [...idempotencyTable(SCHEMA), ...idempotencyKeyRoles(SCHEMA)]) await admin.query(statement);
  await admin.query(`create role ${ROLE} login password 'secret'`);
  await admin.query(`grant usage on schema ${SCHEMA} to ${ROLE}`);
  await admin.query(`grant select, insert, update, delete on all tables in schema ${SCHEMA} to ${ROLE}`);
  await admin.query(`grant usage on all sequences in schema ${SCHEMA} to ${ROLE}`);
  [app, replica] = await Promise.all([start(), start()]);
});

beforeEach(async () => {
  within = () => undefined;
  owner = undefined;
  await admin.query(`truncate ${SCHEMA}.notes, ${SCHEMA}.idempotency_keys`);
});

afterAll(async () => {
  await Promise.all([app.close(), replica.close()]);
  await admin.query(`drop schema ${SCHEMA} cascade`);
  await admin.query(`drop role ${ROLE}`);
  await admin.destroy();
});

async function start(): Promise<NestFastifyApplication> {
  const started = await createApp(NotesModule, new TestConfig(), info);
  await started.listen(0, '127.0.0.1');
  return started;
}

interface Call {
  readonly key?: string;
  readonly body?: unknown;
  readonly path?: string;
  readonly user?: string;
  readonly roles?: string;
  readonly at?: NestFastifyApplication;
}

/** Encodes UTF-8 bytes of a header as fetch expects them. */
const latin1 = (text: string) => Buffer.from(text).toString('latin1');

const tea = { text: 'tea', count: 1 };

/** Returns the pattern of keys in the OpenAPI document. */
function documented(): RegExp {
  const parameters = (openApiDocument(app, info).paths['/notes']?.post?.parameters ?? []) as {
    readonly name?: string;
    readonly schema?: { readonly pattern?: string };
  }[];
  return new RegExp(parameters.find(({ name }) => name === 'Idempotency-Key')?.schema?.pattern ?? '(?!)');
}

/** Sends a request. A body of null means no body. */
async function post({ key = 'k-1', body = tea, path = '/notes', user = 'ada', roles, at = app }: Call = {}) {
  const response = await fetch((await at.getUrl()) + path, {
    method: 'POST',
    headers: {
      'x-user-id': user,
      ...(body !== null && { 'content-type': 'application/json' }),
      ...(roles !== undefined && { 'x-roles': roles }),
      ...(key !== '' && { 'idempotency-key': key }),
    },
    ...(body !== null && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    replayed: response.headers.get('idempotent-replayed'),
    location: response.headers.get('location'),
    text,
    body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
  };
}

async function notes(): Promise<number> {
  return (await admin.query<unknown[]>(`select from ${SCHEMA}.notes`)).length;
}

async function keys(): Promise<number> {
  return (await admin.query<unknown[]>(`select from ${SCHEMA}.idempotency_keys`)).length;
}

const concurrently = (count: number, one: (n: number) => Promise<Awaited<ReturnType<typeof post>>>) =>
  Promise.all(Array.from({ length: count }, (_, n) => one(n)));

describe('a request with an idempotency key', () => {
  it('takes effect once, and gets the stored response when it is repeated, byte for byte', async () => {
    const first = await post();
    const again = await post({ body: '{ "count":1,\n"text":"tea" }' });
    const elsewhere = await post({ at: replica });

    expect(first).toMatchObject({ status: 201, replayed: null, body: { text: 'tea', savedAt: expect.any(String) } });
    expect(again).toEqual({ ...first, replayed: 'true' });
    expect(elsewhere).toEqual({ ...first, replayed: 'true' });
    expect(first.location).toBe(`/notes/${String(first.body['id'])}`);
    expect(await notes()).toBe(1);
  });

  it('gets the stored response even if it has no body', async () => {
    const answers = [await post({ path: '/notes/a/ticks' }), await post({ path: '/notes/a/ticks' })];

    expect(answers).toMatchObject([
      { status: 204, replayed: null, text: '' },
      { status: 204, replayed: 'true', text: '' },
    ]);
    expect(await notes()).toBe(1);
  });

  it('is rejected if the key was used for another body', async () => {
    await post();

    const other = await post({ body: { ...tea, count: 2 } });

    expect(other).toMatchObject({ status: 422, body: { type: 'urn:twinbox:problem:idempotency-key-reused' } });
    expect(await notes()).toBe(1);
    expect(await post()).toMatchObject({ status: 201, replayed: 'true' });
  });

  it.each([
    ['another caller', { user: 'bob' }],
    ['another path', { path: '/notes/shopping' }],
    ['another key', { key: 'K-1' }],
  ])('is a different request from %s', async (_, other: Call) => {
    await post();

    expect(await post(other)).toMatchObject({ status: 201, replayed: null });
    expect(await notes()).toBe(2);
  });

  it('takes effect each time without a key', async () => {
    const answers = [await post({ key: '' }), await post({ key: '' })];

    expect(answers).toMatchObject([{ status: 201 }, { status: 201 }]);
    expect(await notes()).toBe(2);
    expect(await keys()).toBe(0);
  });

  it('does not count query parameters as part of the path', async () => {
    await post({ path: '/notes/a?x=1' });

    expect(await post({ path: '/notes/a?x=2' })).toMatchObject({ replayed: 'true' });
  });
});

describe('a quoted key, as in the IETF draft', () => {
  it.each([
    ['k-1', '"k-1"'],
    ['"k-1"', 'k-1'],
    ['"k-1"', '"k-1";ttl=60; note="x"'],
    [String.raw`a"b\c`, String.raw`"a\"b\\c"`],
    ['"two words"', '"two words"; a'],
  ])('is equal to its other spelling: %s and %s', async (one, other) => {
    const first = await post({ key: one });

    expect([one, other].filter((key) => !documented().test(key))).toEqual([]);
    expect(first).toMatchObject({ status: 201, replayed: null });
    expect(await post({ key: other })).toEqual({ ...first, replayed: 'true' });
    expect(await post({ key: other, at: replica })).toEqual({ ...first, replayed: 'true' });
    expect(await post({ key: other, body: { ...tea, count: 2 } })).toMatchObject({ status: 422 });
    expect(await notes()).toBe(1);
  });

  it.each([
    ['different case', '"K-1"'],
    ['a space', '"k-1 "'],
    ['another character', '"k-2"'],
    ['quotes that belong to it', String.raw`"\"k-1\""`],
  ])('is a different key with %s', async (_, key) => {
    await post({ key: '"k-1"' });

    const first = await post({ key });

    expect(first).toMatchObject({ status: 201, replayed: null });
    expect(await post({ key, at: replica })).toEqual({ ...first, replayed: 'true' });
  });

  it('P4 takes effect once, however concurrent duplicates at two replicas spell it', async () => {
    within = async (tx) => void (await tx.query('select pg_sleep(0.2)'));
    const spellings = ['k-1', '"k-1"', '"k-1";a'];

    const answers = await concurrently(30, (n) => post({ key: spellings[n % 3]!, at: n % 2 === 0 ? app : replica }));

    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]!.status).toBe(201);
    expect(await notes()).toBe(1);
  });

  it('can be reused after it has expired, in any spelling', async () => {
    await post({ key: '"k-1"' });
    await admin.query(`update ${SCHEMA}.idempotency_keys set created_at = now() - interval '25 hours'`);

    const again = await post({ key: 'k-1' });

    expect(again).toMatchObject({ status: 201, replayed: null });
    expect(await post({ key: '"k-1"' })).toEqual({ ...again, replayed: 'true' });
    expect(await notes()).toBe(2);
  });
});

describe('the path', () => {
  const id = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

  it.each([
    ['an id in capitals', `/notes/${id.toUpperCase()}`],
    ['an id in mixed case', `/notes/${id.replace('d', 'D')}`],
    ['an encoded character in it', `/notes/%30${id.slice(1)}`],
    ['an encoded character before it', `/%6eotes/${id}`],
    ['a query', `/notes/${id}?a=1`],
  ])('is the same with %s', async (_, path) => {
    const first = await post({ path: `/notes/${id}` });

    expect(await post({ path })).toEqual({ ...first, replayed: 'true' });
    expect(await post({ path, body: { ...tea, count: 2 } })).toMatchObject({ status: 422 });
    expect(await notes()).toBe(1);
  });

  it('is different with another parameter, even if only the case differs', async () => {
    await post({ path: '/notes/list' });

    expect(await post({ path: '/notes/List' })).toMatchObject({ status: 201, replayed: null });
    expect(await post({ path: '/notes/li%2Fst' })).toMatchObject({ status: 201, replayed: null });
  });
});

describe('no body', () => {
  const tick = (body: unknown, at = app) => post({ path: '/notes/a/ticks', body, at });

  it.each([
    ['none and {}', null, '{}'],
    ['{} and none', '{ }', null],
  ])('is the same as an empty object: %s', async (_, one, other) => {
    const first = await tick(one);
    const again = [await tick(other), await tick(other, replica), await tick(one)];

    expect(first).toMatchObject({ status: 204, replayed: null });
    for (const answer of again) expect(answer).toMatchObject({ status: 204, replayed: 'true' });
    expect(await tick('{"a":1}')).toMatchObject({ status: 422 });
    expect(await notes()).toBe(1);
  });
});

describe('a stored response', () => {
  it.each<[string, string | undefined]>([
    ['operator', 'customer'],
    ['operator', undefined],
    ['customer,operator', 'customer'],
    ['admin', 'customer'],
  ])('P10 that a caller got as %s is withheld from the same user as %s', async (roles, fewer) => {
    const first = await post({ roles });

    for (const at of [app, replica])
      expect(await post({ at, ...(fewer && { roles: fewer }) })).toMatchObject({
        status: 403,
        replayed: null,
        body: { type: 'urn:twinbox:problem:role-required' },
      });
    expect(await post({ roles })).toEqual({ ...first, replayed: 'true' });
    expect(await notes()).toBe(1);
  });

  it.each<[string | undefined, string]>([
    [undefined, 'customer'],
    [undefined, 'operator'],
    ['customer', 'customer,operator'],
    ['operator', 'admin,operator'],
    ['operator', 'admin'],
    ['admin', 'operator'],
    ['admin,operator', 'operator, admin, customer'],
  ])('that a caller got as %s is replayed to the same user as %s', async (roles, more) => {
    const first = await post({ ...(roles && { roles }) });

    expect(await post({ roles: more })).toEqual({ ...first, replayed: 'true' });
    expect(await notes()).toBe(1);
  });

  it.each([
    ['customer,operator', 'customer'],
    ['admin', 'customer'],
  ])('is replayed to the owner of the resource: first as %s, then as %s', async (roles, fewer) => {
    owner = 'ada';
    const first = await post({ roles });

    for (const at of [app, replica]) expect(await post({ at, roles: fewer })).toEqual({ ...first, replayed: 'true' });
    expect(await notes()).toBe(1);
  });

  it('P10 is withheld from a concurrent duplicate without the role', async () => {
    const held = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    within = async () => {
      begun.resolve();
      await held.promise;
    };
    const first = post({ roles: 'operator' });
    await begun.promise;

    const twin = post();
    held.resolve();

    expect(await first).toMatchObject({ status: 201 });
    expect(await twin).toMatchObject({ status: 403 });
  });
});

describe('alongside a process of the previous version', () => {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  const TEA = hash('{"count":1,"text":"tea"}');
  /** Returns the statement with which that process stores a response. */
  const old = (place: { path?: string; key: string; requestHash?: Buffer }): [string, unknown[]] => [
    `insert into ${SCHEMA}.idempotency_keys (caller, method, path, key, request_hash, answer)
     values ('ada', 'POST', $1, $2, $3, '{"id":7,"text":"tea"}')`,
    [place.path ?? '/notes', place.key, place.requestHash ?? TEA],
  ];
  const stored = (): Promise<{ path: string; key: string; answer: unknown }[]> =>
    admin.query(`select path, key, answer from ${SCHEMA}.idempotency_keys`);
  const id = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

  it.each([
    ['without quotes', { key: 'k-1' }, ['k-1', '"k-1"']],
    ['with its quotes', { key: '"k-1"' }, ['k-1', '"k-1"']],
    ['with its parameters', { key: '"k-1";a' }, ['"k-1";a']],
  ])('a key that was stored %s is found', async (_, place, keys) => {
    await admin.query(...old(place));

    for (const key of keys)
      expect(await post({ key })).toMatchObject({ status: 201, replayed: 'true', body: { id: 7 } });
    expect(await notes()).toBe(0);
  });

  it('a key that was stored with the path in capitals is found', async () => {
    await admin.query(...old({ key: '"k-1"', path: `/notes/${id.toUpperCase()}` }));

    expect(await post({ path: `/notes/${id.toUpperCase()}` })).toMatchObject({ replayed: 'true', body: { id: 7 } });
  });

  it.each([
    ['nothing', ''],
    ['{}', '{}'],
  ])('a body of %s is the same', async (_, text) => {
    await admin.query(...old({ key: 'k-1', path: '/notes/a/ticks', requestHash: hash(text) }));

    expect(await post({ path: '/notes/a/ticks', body: null })).toMatchObject({ replayed: 'true' });
    expect(await post({ path: '/notes/a/ticks', body: {} })).toMatchObject({ replayed: 'true' });
  });

  it('a key is also stored as it was sent, so that the process finds it', async () => {
    const path = `/notes/${id.toUpperCase()}`;

    const { body } = await post({ key: '"k-1"', path });
    await post({ key: '"k-1"' });
    await post({ key: 'k-2' });
    await post({ key: '"no key to it"' });

    const rows = await stored();
    expect(rows).toHaveLength(6);
    expect(rows).toEqual(
      expect.arrayContaining([
        { path, key: '"k-1"', answer: body },
        { path: '/notes', key: '"k-1"', answer: expect.anything() },
        { path: '/notes', key: 'k-1', answer: expect.anything() },
        { path: `/notes/${id}`, key: 'k-1', answer: body },
        { path: '/notes', key: 'k-2', answer: expect.anything() },
        { path: '/notes', key: 'no key to it', answer: expect.anything() },
      ]),
    );
  });

  it('P4 a request waits for a duplicate in that process and gets its response', async () => {
    const theirs = admin.createQueryRunner();
    await theirs.startTransaction();
    await theirs.query(...old({ key: '"k-1"' }));
    const ours = post({ key: '"k-1"' });
    await until('our request waits for theirs', async () => {
      const waiting: unknown[] = await admin.query(
        `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%idempotency_keys%'`,
      );
      return waiting.length > 0;
    });

    await theirs.commitTransaction();
    await theirs.release();

    expect(await ours).toMatchObject({ status: 201, replayed: 'true', body: { id: 7 } });
    expect(await notes()).toBe(0);
    expect(await post()).toMatchObject({ status: 201, replayed: 'true', body: { id: 7 } });
    expect(await stored()).toEqual([{ path: '/notes', key: '"k-1"', answer: { id: 7, text: 'tea' } }]);
  });
});

describe('concurrent duplicates', () => {
  it('P4 take effect once and all get the same response, 50 of them with 4 connections', async () => {
    const answers = await concurrently(50, () => post());

    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]!.status).toBe(201);
    expect(answers.filter(({ replayed }) => replayed === null)).toHaveLength(1);
    expect([await notes(), await keys()]).toEqual([1, 1]);
  });

  it('P4 take effect once and all get the same response at two replicas', async () => {
    within = async (tx) => void (await tx.query('select pg_sleep(0.2)'));

    const answers = await concurrently(50, (n) => post({ at: n % 2 === 0 ? app : replica }));

    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]!.status).toBe(201);
    expect(answers.filter(({ replayed }) => replayed === null)).toHaveLength(1);
    expect([await notes(), await keys()]).toEqual([1, 1]);
  });

  it('leave connections for other requests while they wait', async () => {
    const held = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    within = async () => {
      begun.resolve();
      await held.promise;
    };
    const first = post();
    await begun.promise;
    within = () => undefined;
    const waiting = concurrently(20, () => post());

    const others = await concurrently(10, (n) => post({ key: `other-${n}` }));
    held.resolve();

    expect(others.every(({ status }) => status === 201)).toBe(true);
    expect((await waiting).every(({ status, replayed }) => status === 201 && replayed === 'true')).toBe(true);
    expect(await first).toMatchObject({ status: 201, replayed: null });
  });

  it('run one after the other if the first is rejected', async () => {
    let attempts = 0;
    within = () => {
      if (++attempts < 3) throw new ProblemException({ code: 'not-yet', status: 409, title: 'Not yet.' });
    };

    const answers = await concurrently(10, () => post());

    expect(answers.filter(({ status }) => status === 409)).toHaveLength(2);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(8);
    expect(attempts).toBe(3);
    expect([await notes(), await keys()]).toEqual([1, 1]);
  });

  it('with another body are rejected, even while the first is in flight', async () => {
    const answers = await concurrently(10, (n) => post({ body: { ...tea, count: n % 2 } }));

    const counts = answers.map(({ status }) => status);
    expect(counts.filter((status) => status === 201)).toHaveLength(5);
    expect(counts.filter((status) => status === 422)).toHaveLength(5);
    expect(await notes()).toBe(1);
  });

  it('P8 do not wait one after the other for a database that is unavailable', async () => {
    let attempts = 0;
    within = () => {
      attempts++;
      throw Object.assign(new Error('gone'), { code: '57P01' });
    };

    const answers = await concurrently(20, () => post());

    expect(answers.every(({ status }) => status === 503)).toBe(true);
    expect(attempts).toBeLessThan(20);
  });
});

describe('what is stored', () => {
  it.each([
    ['a rejection', () => new ProblemException({ code: 'no', status: 409, title: 'No.' }), 409],
    ['a bug', () => new TypeError('oops'), 500],
  ])('is nothing after %s, so that the same request may be retried', async (_, error, status) => {
    within = () => {
      throw error();
    };
    const first = await post();
    within = () => undefined;
    const stored = [await notes(), await keys()];

    const again = await post();

    expect(first.status).toBe(status);
    expect(stored).toEqual([0, 0]);
    expect(again).toMatchObject({ status: 201, replayed: null });
  });

  it('P1 is committed with the change or not at all', async () => {
    await admin.query(`revoke update on ${SCHEMA}.idempotency_keys from ${ROLE}`);
    const failed = await post();
    await admin.query(`grant update on ${SCHEMA}.idempotency_keys to ${ROLE}`);

    expect(failed.status).toBe(500);
    expect([await notes(), await keys()]).toEqual([0, 0]);
  });

  it('P1 is neither the key nor the change if the connection dies in between', async () => {
    within = async (tx) => {
      const [row]: { pid: number }[] = await tx.query('select pg_backend_pid() as pid');
      await admin.query('select pg_terminate_backend($1)', [row!.pid]);
      // The server may take a moment to end the session.
      await tx.query('select pg_sleep(1)');
    };
    const first = await post();
    within = () => undefined;

    const again = await post();

    expect(first.status).toBe(503);
    expect(again).toMatchObject({ status: 201, replayed: null });
    expect(await notes()).toBe(1);
  });
});

describe('a key that has expired', () => {
  const age = async (hours: number) =>
    admin.query(`update ${SCHEMA}.idempotency_keys set created_at = now() - $1 * interval '1 hour'`, [hours]);

  it('can be reused, even with another body', async () => {
    await post();
    await age(25);

    const again = await post({ body: { ...tea, count: 2 } });

    expect(again).toMatchObject({ status: 201, replayed: null, body: { count: 2 } });
    expect(await post({ body: { ...tea, count: 2 } })).toEqual({ ...again, replayed: 'true' });
    expect([await notes(), await keys()]).toEqual([2, 1]);
  });

  it('is older than 23 hours', async () => {
    await post();
    await age(23);

    expect(await post()).toMatchObject({ replayed: 'true' });
  });

  it('P7 is removed in chunks by replicas that wait neither for each other nor for a request', async () => {
    await admin.query(
      `insert into ${SCHEMA}.idempotency_keys (caller, method, path, key, request_hash, created_at)
       select 'ada', 'POST', '/notes', n::text, '', now() - (case when n <= 2500 then 25 else 23 end) * interval '1 hour'
         from generate_series(1, 2600) n`,
    );
    const request = admin.createQueryRunner();
    await request.startTransaction();
    await request.query(`select from ${SCHEMA}.idempotency_keys where key = '7' for update`);

    const tidy = async (at: NestFastifyApplication) => {
      while (await at.get(IdempotencyHousekeeping).tidy());
    };
    await Promise.all([tidy(app), tidy(replica)]);

    const left = await keys();
    await request.rollbackTransaction();
    await request.release();
    await tidy(app);
    expect(left).toBe(101);
    expect(await keys()).toBe(100);
  });
});

describe('the header', () => {
  it.each([
    ['a space', 'a b'],
    ['256 characters', 'x'.repeat(256)],
    ['a letter outside ASCII', 'caf\u00e9'],
    ['nothing between quotes', '""'],
    ['256 characters between quotes', `"${'x'.repeat(256)}"`],
    ['a letter outside ASCII between quotes', '"caf\u00e9"'],
    ['a tab between quotes', '"a\tb"'],
    ['one quote', '"a'],
    ['a quote within quotes', '"a"b"'],
    ['an invalid escape', String.raw`"\a"`],
    ['a list of strings', '"a", "b"'],
    ['a malformed parameter', '"a";='],
  ])('is rejected with %s', async (_, key) => {
    expect(documented().test(key)).toBe(false);
    expect(await post({ key })).toMatchObject({
      status: 400,
      body: { type: 'urn:twinbox:problem:idempotency-key-invalid' },
    });
    expect(await notes()).toBe(0);
  });

  it('may have 255 characters, quoted or unquoted', async () => {
    expect(await post({ key: '~'.repeat(255) })).toMatchObject({ status: 201, replayed: null });
    expect(await post({ key: `"${'~'.repeat(255)}"` })).toMatchObject({ status: 201, replayed: 'true' });
    expect(await post({ key: `"${String.raw`\"`.repeat(255)}"` })).toMatchObject({ status: 201, replayed: null });
  });

  it.each([
    ['no key', 'Idempotency-Key:\r\n', 'visible ASCII'],
    ['two keys', 'Idempotency-Key: a\r\nIdempotency-Key: a\r\n', 'more than once'],
  ])('is rejected with %s in it', async (_, header, detail) => {
    const { hostname, port } = new URL(await app.getUrl());
    const socket = connect(Number(port), hostname);
    const body = JSON.stringify(tea);
    socket.write(
      `POST /notes HTTP/1.1\r\nHost: localhost\r\nX-User-Id: ada\r\n${header}Content-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);

    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toContain(detail);
  });

  it('is rejected with a path that is too long for the index', async () => {
    expect(await post({ path: `/notes/${'x'.repeat(1000)}` })).toMatchObject({ status: 400 });
    const longest = { path: `/notes/${'x'.repeat(993)}`, user: latin1('😀'.repeat(255)), key: '~'.repeat(255) };
    expect(await post(longest)).toMatchObject({ status: 201 });
  });

  it('is documented with its problems on the routes that take it', () => {
    const document = openApiDocument(app, info);
    const operation = document.paths['/notes']!.post!;

    expect(openApiGaps(document)).toEqual([]);
    expect(operation.parameters).toEqual([
      expect.objectContaining({ name: 'Idempotency-Key', in: 'header', required: false }),
    ]);
    expect(operation.responses['422']).toMatchObject({
      content: { 'application/problem+json': { examples: { 'idempotency-key-reused': expect.anything() } } },
    });
    expect(operation.responses['400']).toMatchObject({
      content: { 'application/problem+json': { examples: { 'idempotency-key-invalid': expect.anything() } } },
    });
    expect(operation.responses['201']).toMatchObject({ headers: { 'Idempotent-Replayed': expect.anything() } });
  });
});
