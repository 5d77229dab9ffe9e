import { randomUUID } from 'node:crypto';
import { type INestApplication } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { type InboxOptions } from '../messaging-options.js';
import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { KafkaLink } from '../../test/kafka-link.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
const apps: INestApplication[] = [];

/** Starts a process that has only one attempt for each message. */
async function start(options: Partial<InboxOptions> = {}, other: Partial<Sandbox> = {}): Promise<INestApplication> {
  const backOff = { firstMs: 50, maxMs: 200 };
  const app = await startCounter({ ...sandbox, ...other }, { maxAttempts: 1, backOff, ...options });
  apps.push(app);
  return app;
}

const send = (...records: RawRecord[]) => produce(sandbox.options.brokers, sandbox.consumer.topic.name, records);
const sql = (text: string) => sandbox.database.sql(text);
const effects = async () => (await sql('select n from sandbox.effects order by n')).map(({ n }) => n as number);
const parked = () => sql('select * from sandbox.inbox_parked order by "offset"');

/** Collects the codes of the PostgreSQL errors that a handler sees. */
function codesSeen(): { codes: Set<unknown>; sees: (work: Promise<unknown>) => Promise<void> } {
  const codes = new Set<unknown>();
  return {
    codes,
    async sees(work) {
      await work.catch((error: { code: unknown }) => {
        codes.add(error.code);
        throw error;
      });
    },
  };
}

beforeEach(async () => {
  sandbox = await createSandbox();
  await sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  await sql('create table sandbox.shared (id integer primary key, total integer not null)');
  await sql('insert into sandbox.shared values (1, 0), (2, 0)');
  CounterController.next = () => undefined;
});

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

describe('P5 no attempt is counted', () => {
  const add = (tx: EntityManager, id: number) =>
    tx.query('update sandbox.shared set total = total + 1 where id = $1', [id]);

  it('when two handlers are in a deadlock', async () => {
    const { codes, sees } = codesSeen();
    let waiting = 0;
    CounterController.next = async (n, tx) => {
      await add(tx, n);
      waiting++;
      // Only for the first deadlock: after it, one of them goes first.
      await until('each holds what the other needs', () => waiting >= 2);
      await sees(add(tx, 3 - n));
    };
    // By default the server checks for deadlocks after a second, which is also the inbox's lock timeout.
    await sql(`alter database ${new URL(sandbox.database.url).pathname.slice(1)} set deadlock_timeout = '50ms'`);
    const dataSource = await new DataSource({ type: 'postgres', url: sandbox.database.directUrl }).initialize();
    const app = await start({}, { dataSource });

    await send(counted(1, { key: 'a', partition: 0 }), counted(2, { key: 'b', partition: 0 }));

    await until('both are handled', async () => (await effects()).length === 2);
    expect(codes).toEqual(new Set(['40P01']));
    expect(await sql('select total from sandbox.shared')).toEqual([{ total: 2 }, { total: 2 }]);
    expect(inboxHealth(app)).toMatchObject({ failedAttempts: 0, deadLetters: 0 });
    await apps.pop()!.close();
    await dataSource.destroy();
  });

  it('when transactions cannot be serialized', async () => {
    const { codes, sees } = codesSeen();
    let tries = 0;
    CounterController.next = async (_, tx) => {
      await tx.query('select total from sandbox.shared');
      if (++tries === 1) await sql('update sandbox.shared set total = 10 where id = 1');
      await sees(add(tx, 1));
    };
    const options = { options: '-c default_transaction_isolation=serializable' };
    const dataSource = await new DataSource({
      type: 'postgres',
      url: sandbox.database.directUrl,
      extra: options,
    }).initialize();
    const app = await start({}, { dataSource });

    await send(counted(1), counted(2));

    await until('both are handled', async () => (await effects()).length === 2);
    expect(codes).toEqual(new Set(['40001']));
    expect(await sql('select total from sandbox.shared where id = 1')).toEqual([{ total: 12 }]);
    expect(inboxHealth(app)).toMatchObject({ failedAttempts: 0, deadLetters: 0 });
    await apps.pop()!.close();
    await dataSource.destroy();
  });

  it('when the connection is lost during a retry, nor is a death', async () => {
    let tries = 0;
    CounterController.next = async (_, tx) => {
      tries++;
      if (tries === 1) throw new Error('not yet');
      if (tries <= 5) await tx.query('select pg_terminate_backend(pg_backend_pid())');
    };
    const both = [await start({ maxAttempts: 2 }), await start({ maxAttempts: 2 })];

    await send(counted(1));

    await until('it is handled', async () => (await effects()).length === 1);
    expect(tries).toBe(6);
    expect(both.map((app) => inboxHealth(app)['failedAttempts'])).toEqual(expect.arrayContaining([0, 1]));
    expect(await sql('select from sandbox.inbox_in_flight where deaths > 0')).toEqual([]);
  });

  it.each([
    ['first attempt', 1],
    ['retry', 2],
  ])('when the process stops during the %s', async (_, stoppedAt) => {
    let tries = 0;
    let closing: Promise<void> | undefined;
    CounterController.next = async (n, tx) => {
      if (n === 2) return;
      tries++;
      if (tries < stoppedAt) throw new Error('not yet');
      if (tries > stoppedAt) return;
      closing = apps.pop()!.close();
      await tx.query('select pg_sleep(0.1)');
      throw new Error('shutting down');
    };
    await start({ maxAttempts: 2 });
    await send(counted(1), counted(2));
    await until('the process is stopping', () => closing !== undefined);
    await closing;
    const before = await parked();

    await start({ maxAttempts: 2 });

    await until('both are handled', async () => (await effects()).length === 2);
    expect(before.map(({ attempts }) => attempts)).toEqual(stoppedAt === 1 ? [] : [1, 0]);
  });
});

it('P4 a duplicate causes no error, whatever the language of the server’s messages', async () => {
  const [database] = await sql('select current_database() as name');
  const rollbacks = async () =>
    (
      await sql(`select xact_rollback::int as n from pg_stat_database where datname = '${String(database!['name'])}'`)
    )[0];
  const dataSource = await new DataSource({ type: 'postgres', url: sandbox.database.directUrl }).initialize();
  const ids = Array.from({ length: 30 }, () => randomUUID());
  const before = await rollbacks();
  await start({}, { dataSource });

  for (const partition of [0, 1, 2, 3]) await send(...ids.map((id, n) => counted(n, { id, key: 'a', partition })));
  await until('all are settled', () => {
    const { processed, duplicates } = inboxHealth(apps[0]!);
    return Number(processed) + Number(duplicates) === 120;
  });

  expect(await effects()).toEqual(ids.map((_, n) => n));
  await apps.pop()!.close();
  // A session reports its statistics when it ends.
  await dataSource.destroy();
  expect(await rollbacks()).toEqual(before);
});

it('P5 an unreadable message holds no key, but one whose data violates the contract does', async () => {
  await start();

  await send(counted(1, { value: 'no JSON' }), counted(2), counted(3, { value: '{"n":"no number"}' }), counted(4));

  await until('three are parked', async () => (await parked()).length === 3);
  expect(await effects()).toEqual([2]);
  expect((await parked()).map(({ holds_key, dead_at }) => [holds_key, dead_at !== null])).toEqual([
    [false, true],
    [true, true],
    [true, false],
  ]);
});

it('P8 a consumer recovers on its own after its Kafka client has crashed permanently', async () => {
  const link = await KafkaLink.open(sandbox.options.brokers[0]!);
  const app = await start({ sessionMs: 1000 }, { options: { ...sandbox.options, brokers: [link.broker] } });
  await send(counted(1));
  await until('it consumes', async () => (await effects()).length === 1);
  const { name } = sandbox.consumer.topic;

  // With responses about a topic that it did not ask for, kafkajs stops the consumer with a non-retriable error.
  link.replaceInAnswers(Buffer.from(name), Buffer.from(name.replace('sandbox', 'rubbish')));
  await until('it has crashed', () => inboxHealth(app)['consuming'] === false);
  await send(counted(2));
  link.heal();

  const since = performance.now();
  await until('it consumes again', async () => (await effects()).length === 2);
  expect(performance.now() - since).toBeLessThan(30_000);
  await apps.pop()!.close();
  await link.close();
});
