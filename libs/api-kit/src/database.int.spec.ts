import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DataSource, EntitySchema } from 'typeorm';
import { databaseTrouble } from './database-trouble.js';
import {
  createApp,
  createDataSource,
  databaseModule,
  HealthModule,
  loggerModule,
  MessagingProbe,
  openApiDocument,
  openApiGaps,
  Public,
  ServiceConfig,
} from './index.js';

const NoteSchema = new EntitySchema<{ id: number; text: string }>({
  name: 'Note',
  tableName: 'notes',
  columns: { id: { type: 'int', primary: true }, text: { type: 'text' } },
});

const SCHEMA = `api_kit_${process.pid}`;
const given = process.env['TEST_DATABASE_URL'];
if (!given) throw new Error('TEST_DATABASE_URL names no database: run this through npm test');
const databaseUrl = new URL(given);

/** The way to the database, which a test can break: `cut` says no word more, like a cable; `close` resets and refuses. */
class Way {
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;
  private isCut = false;
  port = 0;

  async open(): Promise<void> {
    this.server = createServer((client) => {
      const upstream = connect(Number(databaseUrl.port || 5432), databaseUrl.hostname);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.sockets.add(from);
        from.on('data', (bytes) => void (this.isCut || to.write(bytes)));
        from.on('error', () => undefined);
        from.on('close', () => void (this.sockets.delete(from), this.isCut || to.destroy()));
      }
    });
    await new Promise<void>((resolve) => this.server!.listen(this.port, '127.0.0.1', resolve));
    this.port = (this.server.address() as { port: number }).port;
  }

  cut(): void {
    this.isCut = true;
  }

  /** What was in flight stays lost, as with a firewall that forgot its connections. */
  mend(): void {
    for (const socket of this.sockets) socket.removeAllListeners('data').resume();
    this.isCut = false;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.resetAndDestroy();
    await new Promise((resolve) => this.server?.close(resolve));
  }
}

class Probe extends MessagingProbe {
  healthy = true;

  check() {
    return { healthy: this.healthy, components: { relay: { healthy: this.healthy, lagMs: 7 } } };
  }
}

@Public()
@Controller('notes')
class NotesController {
  constructor(private readonly dataSource: DataSource) {}

  @Get()
  async list() {
    return await this.dataSource.transaction((tx) => tx.getRepository(NoteSchema).find());
  }

  @Get('slow')
  async slow() {
    return await this.dataSource.query('select pg_sleep(5)');
  }

  @Get('locked')
  async locked() {
    return await this.dataSource.query('select * from notes for update');
  }

  @Get('interrupted')
  async interrupted() {
    return await this.dataSource.transaction(async (tx) => {
      const [{ pid }] = await tx.query<[{ pid: number }]>('select pg_backend_pid() as pid');
      await this.dataSource.query('select pg_terminate_backend($1)', [pid]);
      return await tx.getRepository(NoteSchema).find();
    });
  }
}

class TestConfig extends ServiceConfig {
  override PORT = 0;
}

const probe = new Probe();
const way = new Way();
let admin: DataSource;
let app: NestFastifyApplication;
let url: string;

async function start(): Promise<void> {
  const viaProxy = new URL(databaseUrl.href);
  viaProxy.hostname = '127.0.0.1';
  viaProxy.port = String(way.port);

  @Module({ providers: [{ provide: Probe, useValue: probe }], exports: [Probe] })
  class MessagingModule {}

  @Module({
    imports: [
      loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'shop'),
      databaseModule({
        url: viaProxy.href,
        schema: SCHEMA,
        applicationName: 'shop',
        entities: [NoteSchema],
        poolSize: 4,
      }),
      HealthModule.forRoot({ messaging: Probe, imports: [MessagingModule] }),
    ],
    controllers: [NotesController],
  })
  class ShopModule {}

  app = await createApp(ShopModule, new TestConfig());
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
}

async function get(path: string) {
  const began = performance.now();
  const response = await fetch(url + path);
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body, tookMs: performance.now() - began };
}

async function expectUnavailable(path: string): Promise<void> {
  const answer = await get(path);
  expect(answer).toMatchObject({ status: 503, body: { type: 'urn:twinbox:problem:database-unavailable' } });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.tookMs).toBeLessThan(2000);
}

async function untilAnswered(path: string): Promise<void> {
  for (let tries = 0; tries < 50; tries++) if ((await get(path)).status === 200) return;
  throw new Error(`${path} does not recover`);
}

beforeAll(async () => {
  admin = await createDataSource({ url: databaseUrl.href, schema: SCHEMA, applicationName: 'test' });
  await admin.query(`create schema ${SCHEMA}`);
  await admin.query(`create table notes (id int primary key, text text not null)`);
  await admin.query(`insert into notes values (1, 'one')`);
  await way.open();
});
afterAll(async () => {
  await way.close();
  await admin.query(`drop schema ${SCHEMA} cascade`);
  await admin.destroy();
});
beforeEach(async () => {
  probe.healthy = true;
  await start();
});
afterEach(() => app.close());

describe('databaseModule', () => {
  it("reads entities and raw SQL from the service's own schema", async () => {
    expect(await get('/notes')).toMatchObject({ status: 200, body: [{ id: 1, text: 'one' }] });
  });

  it('prepares once a connection what begins with the comment, and nothing else', async () => {
    const dataSource = app.get(DataSource);
    await dataSource.transaction(async (tx) => {
      for (const n of [1, 2]) {
        await tx.query('/* prepared */ select $1::int as n', [n]);
        await tx.query('select $1::int as m', [n]);
      }

      const prepared = await tx.query('select statement from pg_prepared_statements');

      expect(prepared).toEqual([{ statement: '/* prepared */ select $1::int as n' }]);
      expect(await tx.query('/* prepared */ select $1::int as n', [3])).toEqual([{ n: 3 }]);
    });
  });

  it.each([
    ['a wider varchar', 'varchar(10)', 'varchar(20)'],
    ['int made bigint', 'int', 'bigint'],
  ])('P8 prepares statements again after a change of their table: %s', async (_, before, after) => {
    const db = await createDataSource({ url: databaseUrl.href, schema: SCHEMA, applicationName: 'test', poolSize: 5 });
    await admin.query(`create table changing (id int primary key, value ${before})`);
    await admin.query(`insert into changing values (1, '7')`);
    const read = () => db.query<unknown[]>('/* prepared */ select * from changing where id = $1', [1]);
    // Every connection has the statement.
    await Promise.all(
      Array.from({ length: 5 }, () =>
        db.transaction(async (tx) => {
          await tx.query('/* prepared */ select * from changing where id = $1', [1]);
          await tx.query('select pg_sleep(0.2)');
        }),
      ),
    );

    await admin.query(`alter table changing alter column value type ${after}`);
    const first = await Promise.allSettled([read()]);
    const then = await Promise.allSettled(Array.from({ length: 40 }, read));

    expect(first.map((one) => one.status === 'rejected' && databaseTrouble(one.reason))).toEqual(['try-again']);
    expect(then.filter(({ status }) => status === 'rejected')).toEqual([]);
    await db.destroy();
    await admin.query('drop table changing');
  });

  it('P8 prepares statements again that a connection has lost, and stops preparing where they are lost all the time', async () => {
    const db = await createDataSource({ url: databaseUrl.href, schema: SCHEMA, applicationName: 'test', poolSize: 1 });
    const read = () => db.query<unknown[]>('/* prepared */ select $1::int as kept', [1]);
    const failures: unknown[] = [];

    for (let n = 0; n < 30; n++) {
      await read().catch((error: unknown) => failures.push(databaseTrouble(error)));
      // As a pooler in transaction mode, which gives the next statement to another session.
      await db.query('deallocate all');
    }

    expect(new Set(failures)).toEqual(new Set(['try-again']));
    expect(failures.length).toBeLessThanOrEqual(10);
    expect(await read()).toEqual([{ kept: 1 }]);
    await db.destroy();
  });

  it('P8 starts without a database, answers 503, and works as soon as it is there', async () => {
    await app.close();
    await way.close();
    await start();

    await expectUnavailable('/notes');
    await way.open();
    expect(await get('/notes')).toMatchObject({ status: 200 });
  });

  it('P8 answers 503 while the database is gone, and recovers with no restart', async () => {
    await get('/notes');

    await way.close();
    await expectUnavailable('/notes');
    await way.open();

    expect(await get('/notes')).toMatchObject({ status: 200 });
  });

  it('P8 answers 503 within 2 s on every connection that was cut without a reset', async () => {
    await Promise.all([get('/notes'), get('/notes'), get('/notes'), get('/notes')]);

    way.cut();
    await Promise.all(Array.from({ length: 12 }, () => expectUnavailable('/notes')));
    await expectUnavailable('/notes');
    way.mend();

    await untilAnswered('/notes');
  });

  it('P8 puts no connection back into the pool that left a query without an answer', async () => {
    await get('/notes');

    way.cut();
    await expectUnavailable('/notes');
    way.mend();

    // The one that was cut would keep the next request waiting.
    expect(await get('/notes')).toMatchObject({ status: 200 });
  });

  it('P8 answers 503 when the server ends the session within a transaction', async () => {
    await expectUnavailable('/notes/interrupted');
    expect(await get('/notes')).toMatchObject({ status: 200 });
  });

  it('P8 outlives a server that ends in the packet of its greeting', async () => {
    const message = (type: string, body: string) => {
      const head = Buffer.alloc(5);
      head.write(type);
      head.writeInt32BE(4 + body.length, 1);
      return Buffer.concat([head, Buffer.from(body)]);
    };
    // As one that is killed right after a login: it lets the client in, is ready for it, and is gone.
    const greeting = [
      message('R', '\0\0\0\0'),
      message('Z', 'I'),
      message('E', 'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0'),
    ];
    const dying = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(Buffer.concat(greeting)));
    }).listen(0, '127.0.0.1');
    await once(dying, 'listening');
    const { port } = dying.address() as AddressInfo;
    const dataSource = await createDataSource({
      url: `postgres://a:b@127.0.0.1:${port}/x`,
      schema: 's',
      applicationName: 'test',
    });

    // An error that nobody listens for would end the process: jest reports it as this test's failure.
    await expect(dataSource.query('select 1')).rejects.toThrow();

    await dataSource.destroy();
    dying.close();
  });

  it('ends a statement that takes too long, and keeps its connection', async () => {
    const answer = await get('/notes/slow');

    expect(answer).toMatchObject({ status: 503, body: { type: 'urn:twinbox:problem:try-again' } });
    expect(answer.tookMs).toBeLessThan(2000);
  });

  it('ends a wait for a lock', async () => {
    const holder = admin.createQueryRunner();
    await holder.startTransaction();
    await holder.query('select * from notes for update');

    const answer = await get('/notes/locked');

    await holder.rollbackTransaction();
    await holder.release();
    expect(answer).toMatchObject({ status: 503, body: { type: 'urn:twinbox:problem:try-again' } });
    expect(answer.tookMs).toBeLessThan(2000);
  });
});

describe('health', () => {
  const statuses = async () =>
    await Promise.all(
      ['live', 'ready', 'messaging', ''].map(async (path) => (await get(`/health/${path}`.replace(/\/$/, ''))).status),
    );

  it('is well while everything is, and is never cached', async () => {
    const answer = await get('/health');

    expect(await statuses()).toEqual([200, 200, 200, 200]);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toMatchObject({
      status: 'ok',
      details: { database: { status: 'up' }, messaging: { status: 'up', components: { relay: { lagMs: 7 } } } },
    });
  });

  it('P8 stays ready, and says degraded, while messaging is down', async () => {
    probe.healthy = false;

    expect(await statuses()).toEqual([200, 200, 503, 503]);
    expect((await get('/health/ready')).body).toMatchObject({
      status: 'degraded',
      details: { messaging: { status: 'degraded' } },
    });
    expect((await get('/health/messaging')).body).toMatchObject({
      status: 'error',
      error: { messaging: { status: 'down' } },
    });
  });

  it('has Retry-After with every 503, and with no other answer', async () => {
    probe.healthy = false;

    const answers = await Promise.all(['', '/ready', '/messaging'].map((path) => get(`/health${path}`)));

    expect(answers.map(({ status, headers }) => [status, headers.get('retry-after')])).toEqual([
      [503, '1'],
      [200, null],
      [503, '1'],
    ]);
  });

  it('P8 is not ready while the database does not answer, and says so within 2 s', async () => {
    await get('/notes');
    way.cut();

    const began = performance.now();
    expect(await statuses()).toEqual([200, 503, 200, 503]);
    expect(performance.now() - began).toBeLessThan(2000);

    way.mend();
    await untilAnswered('/health/ready');
  });

  it('is documented with both of its answers', () => {
    const document = openApiDocument(app, { title: 'a', description: 'b', version: 'c' });

    expect(openApiGaps(document).filter((gap) => gap.startsWith('Health'))).toEqual([]);
    expect(Object.keys(document.paths['/health/ready']?.get?.responses ?? {})).toEqual(['200', '500', '503']);
    for (const path of ['/health', '/health/ready', '/health/messaging'])
      expect(document.paths[path]?.get?.responses['503']).toMatchObject({ headers: { 'Retry-After': {} } });
  });
});
