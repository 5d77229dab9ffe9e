import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { jest } from '@jest/globals';
import { Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { until } from '@twinbox/messaging/testing';
import { DataSource, EntitySchema } from 'typeorm';
import { InProcessConfig } from '../../test/in-process-config.js';
import { classifyDatabaseError } from './database-errors.js';
import { prepared } from '@twinbox/messaging/transactions';
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
} from '../index.js';

const NoteSchema = new EntitySchema<{ id: number; text: string }>({
  name: 'Note',
  tableName: 'notes',
  columns: { id: { type: 'int', primary: true }, text: { type: 'text' } },
});

const SCHEMA = `api_kit_${process.pid}`;
const given = process.env['TEST_DATABASE_URL'];
if (!given) throw new Error('TEST_DATABASE_URL is not set. Run the tests with npm test.');
const databaseUrl = new URL(given);

/** A proxy to the database that tests can break. `cut` drops all data silently, like a cut cable; `close` resets connections. */
class DatabaseProxy {
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

  /** Restores the link for new connections. Existing ones stay dead, as behind a firewall that has lost their state. */
  restore(): void {
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

class TestConfig extends InProcessConfig {
  override PORT = 0;
}

const probe = new Probe();
const proxy = new DatabaseProxy();
let admin: DataSource;
let app: NestFastifyApplication;
let url: string;

async function start(): Promise<void> {
  const viaProxy = new URL(databaseUrl.href);
  viaProxy.hostname = '127.0.0.1';
  viaProxy.port = String(proxy.port);

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
  await proxy.open();
});
afterAll(async () => {
  await proxy.close();
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

  it('prepares statements that begin with the comment once per connection, and no others', async () => {
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

  it('plans a prepared statement once, however few elements its arrays have', async () => {
    const statement = prepared(
      'select n from generate_series(1, 1000) as n where n = any($1::int[]) and n in (select * from unnest($1::int[]))',
    );
    await app.get(DataSource).transaction(async (tx) => {
      const runs = Array.from({ length: 20 }, (_, n) => n + 1);
      for (const n of runs) expect(await tx.query(statement, [[n]])).toEqual([{ n }]);

      const [plans] = await tx.query(
        'select generic_plans::int, custom_plans::int from pg_prepared_statements where statement = $1',
        [statement],
      );

      // PostgreSQL tries plans for the actual values first.
      expect(plans).toEqual({ generic_plans: 15, custom_plans: 5 });
    });
  });

  it.each([
    ['a wider varchar', 'varchar(10)', 'varchar(20)'],
    ['int changed to bigint', 'int', 'bigint'],
  ])('P8 prepares statements again after a change to their table: %s', async (_, before, after) => {
    const db = await createDataSource({ url: databaseUrl.href, schema: SCHEMA, applicationName: 'test', poolSize: 5 });
    await admin.query(`create table changing (id int primary key, value ${before})`);
    await admin.query(`insert into changing values (1, '7')`);
    const read = () => db.query<unknown[]>('/* prepared */ select * from changing where id = $1', [1]);
    // Every connection has prepared the statement.
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

    expect(first.map((one) => one.status === 'rejected' && classifyDatabaseError(one.reason))).toEqual(['try-again']);
    expect(then.filter(({ status }) => status === 'rejected')).toEqual([]);
    await db.destroy();
    await admin.query('drop table changing');
  });

  it('P8 prepares statements again that a connection has lost, and stops preparing if they keep getting lost', async () => {
    const db = await createDataSource({ url: databaseUrl.href, schema: SCHEMA, applicationName: 'test', poolSize: 1 });
    const read = () => db.query<unknown[]>('/* prepared */ select $1::int as kept', [1]);
    const failures: unknown[] = [];

    for (let n = 0; n < 30; n++) {
      await read().catch((error: unknown) => failures.push(classifyDatabaseError(error)));
      // Like a pooler in transaction mode, which sends the next statement to another session.
      await db.query('deallocate all');
    }

    expect(new Set(failures)).toEqual(new Set(['try-again']));
    expect(failures.length).toBeLessThanOrEqual(10);
    expect(await read()).toEqual([{ kept: 1 }]);
    await db.destroy();
  });

  it('P8 starts without a database, answers 503, and works as soon as the database is available', async () => {
    await app.close();
    await proxy.close();
    await start();

    await expectUnavailable('/notes');
    await proxy.open();
    expect(await get('/notes')).toMatchObject({ status: 200 });
  });

  it('P8 answers 503 while the database is unavailable, and recovers without a restart', async () => {
    await get('/notes');

    await proxy.close();
    await expectUnavailable('/notes');
    await proxy.open();

    expect(await get('/notes')).toMatchObject({ status: 200 });
  });

  it('P8 answers 503 within 2 s on every connection that was cut without a reset', async () => {
    await Promise.all([get('/notes'), get('/notes'), get('/notes'), get('/notes')]);

    proxy.cut();
    await Promise.all(Array.from({ length: 12 }, () => expectUnavailable('/notes')));
    await expectUnavailable('/notes');
    proxy.restore();

    await untilAnswered('/notes');
  });

  it('P8 does not return a connection to the pool if it left a query unanswered', async () => {
    await get('/notes');

    proxy.cut();
    await expectUnavailable('/notes');
    proxy.restore();

    // The dead connection would keep the next request waiting.
    expect(await get('/notes')).toMatchObject({ status: 200 });
  });

  it('P8 answers 503 when the server ends the session within a transaction', async () => {
    await expectUnavailable('/notes/interrupted');
    expect(await get('/notes')).toMatchObject({ status: 200 });
  });

  it('P8 survives a server that dies in the same packet as its greeting', async () => {
    const message = (type: string, body: string) => {
      const head = Buffer.alloc(5);
      head.write(type);
      head.writeInt32BE(4 + body.length, 1);
      return Buffer.concat([head, Buffer.from(body)]);
    };
    // Like a server that is killed right after a login: it accepts the client, reports that it is ready, and dies.
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

    // An error without a listener would end the process. Jest reports it as a failure of this test.
    await expect(dataSource.query('select 1')).rejects.toThrow();

    await dataSource.destroy();
    dying.close();
  });

  it('cancels a statement that takes too long, and keeps its connection', async () => {
    const answer = await get('/notes/slow');

    expect(answer).toMatchObject({ status: 503, body: { type: 'urn:twinbox:problem:try-again' } });
    expect(answer.tookMs).toBeLessThan(2000);
  });

  it('cancels a wait for a lock', async () => {
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

  it('is ok while all components are up, and is never cached', async () => {
    const answer = await get('/health');

    expect(await statuses()).toEqual([200, 200, 200, 200]);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toMatchObject({
      status: 'ok',
      details: { database: { status: 'up' }, messaging: { status: 'up', components: { relay: { lagMs: 7 } } } },
    });
  });

  it('P8 stays ready, and reports degraded, while messaging is down', async () => {
    probe.healthy = false;

    expect(await statuses()).toEqual([200, 200, 503, 503]);
    expect((await get('/health/ready')).body).toEqual({ status: 'degraded' });
    expect((await get('/health/messaging')).body).toMatchObject({
      status: 'error',
      error: { messaging: { status: 'down' } },
    });
  });

  it('has Retry-After on every 503, and on no other response', async () => {
    probe.healthy = false;

    const answers = await Promise.all(['', '/ready', '/messaging'].map((path) => get(`/health${path}`)));

    expect(answers.map(({ status, headers }) => [status, headers.get('retry-after')])).toEqual([
      [503, '1'],
      [200, null],
      [503, '1'],
    ]);
  });

  it('P8 shares a ping of the database among many requests', async () => {
    const query = jest.spyOn(app.get(DataSource), 'query');

    const answers = await Promise.all(Array.from({ length: 100 }, () => get('/health/ready')));

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(query.mock.calls.length).toBeLessThan(10);
    query.mockRestore();
  });

  it('P8 reports within 2 s that it is not ready while the database does not answer', async () => {
    await get('/notes');
    proxy.cut();
    // The result of the last ping is reused for a second.
    await until('it is not ready', async () => {
      const { status, tookMs } = await get('/health/ready');
      expect(tookMs).toBeLessThan(2000);
      return status === 503;
    });
    expect(await statuses()).toEqual([200, 503, 200, 503]);

    proxy.restore();
    await until('it is ready', async () => (await get('/health/ready')).status === 200);
  });

  it('is documented with both of its responses', () => {
    const document = openApiDocument(app, { title: 'a', description: 'b', version: 'c' });

    expect(openApiGaps(document).filter((gap) => /^get(Health|Liveness|Readiness|MessagingHealth) /.test(gap))).toEqual(
      [],
    );
    expect(Object.keys(document.paths['/health/ready']?.get?.responses ?? {})).toEqual(['200', '431', '500', '503']);
    for (const path of ['/health', '/health/ready', '/health/messaging'])
      expect(document.paths[path]?.get?.responses['503']).toMatchObject({ headers: { 'Retry-After': {} } });
  });
});
