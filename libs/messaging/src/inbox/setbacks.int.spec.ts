import { MessagingMetrics } from '../metrics/metrics.js';
import { type INestApplication } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { type InboxOptions } from '../messaging-options.js';
import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
let dataSource: DataSource;
const apps: INestApplication[] = [];

/** Starts a process with a statement timeout of 300 ms. */
async function start(options: Partial<InboxOptions> = {}): Promise<INestApplication> {
  const backOff = { firstMs: 30, maxMs: 200 };
  const app = await startCounter({ ...sandbox, dataSource }, { maxAttempts: 1, backOff, ...options });
  apps.push(app);
  return app;
}

const send = (...records: RawRecord[]) => produce(sandbox.options.brokers, sandbox.consumer.topic.name, records);
const sql = (text: string) => sandbox.database.sql(text);
const effects = async () => (await sql('select n from sandbox.effects order by n')).map(({ n }) => n as number);
const parked = () => sql('select * from sandbox.inbox_parked order by id');
const dead = async () => (await parked()).filter((row) => row['dead_at'] !== null);
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n + 1);
const ofOwnKeys = (all: readonly number[]) => all.map((n) => counted(n, { key: `key ${n}`, partition: n % 4 }));
const sleepTooLong = async (tx: EntityManager) => void (await tx.query('select pg_sleep(2)'));

beforeEach(async () => {
  sandbox = await createSandbox();
  await sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  const { directUrl: url } = sandbox.database;
  dataSource = await new DataSource({ type: 'postgres', url, extra: { statement_timeout: 300 } }).initialize();
  CounterController.next = () => undefined;
});

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await dataSource.destroy();
  await sandbox.close();
});

describe('P5 a database that fails every handler', () => {
  const expectAllHandled = async (app: INestApplication, fail: (tx: EntityManager) => Promise<void>) => {
    let failing = true;
    CounterController.next = async (_, tx) => {
      if (failing) await fail(tx);
    };
    await send(...ofOwnKeys(numbers(36)));
    await until('all have had setbacks', () => Number(inboxHealth(app)['setbacks']) >= 80);
    expect(await app.get(MessagingMetrics).registry.metrics()).toMatch(
      /^messaging_inbox_setbacks_total\{consumer="[^"]+"\} \d{2,}$/m,
    );
    await until('health reports it', () => inboxHealth(app)['problem'] !== undefined);
    failing = false;
    await until('all are handled', async () => (await effects()).length === 36);

    expect(await effects()).toEqual(numbers(36));
    expect(inboxHealth(app)).toMatchObject({ failedAttempts: 0, deadLetters: 0 });
    expect(await parked()).toEqual([]);
  };

  it('with statement timeouts makes no message a dead letter', async () => {
    await expectAllHandled(await start(), sleepTooLong);
  });

  it('with statement timeouts makes no message a dead letter with group commit', async () => {
    await expectAllHandled(await start({ groupCommit: true }), sleepTooLong);
  });

  it.each(['25006', '53100', '53200', '58030', '26000', '57014'])(
    'with %s makes no message a dead letter',
    async (code) => {
      await expectAllHandled(await start(), async (tx) => {
        await tx.query(`do $$ begin raise exception 'the environment' using errcode = '${code}'; end $$`);
      });
    },
  );

  it('makes no message a dead letter after working normally before', async () => {
    const app = await start();
    await send(...ofOwnKeys(numbers(20)));
    await until('those are handled', async () => (await effects()).length === 20);
    await sql('delete from sandbox.effects');

    await expectAllHandled(app, sleepTooLong);
  });
});

describe('P5 a message that alone keeps timing out', () => {
  it('becomes a dead letter after its last attempt, and others are handled meanwhile', async () => {
    const app = await start({ maxAttempts: 3 });
    CounterController.next = async (n, tx) => {
      if (n === 3) await sleepTooLong(tx);
    };

    await send(...ofOwnKeys(numbers(20)), counted(21, { key: 'key 3', partition: 3 }));

    await until('it is dead', async () => (await dead()).length === 1);
    expect(await effects()).toEqual(numbers(20).filter((n) => n !== 3));
    expect(await dead()).toMatchObject([{ attempts: 3, error: expect.stringContaining('statement timeout') }]);
    expect(inboxHealth(app)).toMatchObject({ failedAttempts: 3, deadLetters: 1 });
  });

  it('becomes a dead letter even if there are two of them', async () => {
    await start({ maxAttempts: 3 });
    CounterController.next = async (n, tx) => {
      if (n === 3 || n === 4) await sleepTooLong(tx);
    };

    await send(...ofOwnKeys(numbers(20)));

    await until('both are dead', async () => (await dead()).length === 2);
    expect(await effects()).toEqual(numbers(20).filter((n) => n !== 3 && n !== 4));
  });

  it('becomes a dead letter with group commit, while others keep arriving', async () => {
    await start({ maxAttempts: 2, groupCommit: true });
    CounterController.next = async (n, tx) => {
      if (n === 3) await sleepTooLong(tx);
    };
    await send(...ofOwnKeys(numbers(20)));

    let next = 20;
    await until('it is dead', async () => {
      await send(...ofOwnKeys([++next]));
      return (await dead()).length === 1;
    });

    await until('all others are handled', async () => (await effects()).length === next - 1);
  });
});

it('P5 a message that ends its own connection eventually becomes a dead letter, and others are handled meanwhile', async () => {
  await start({ maxAttempts: 3 });
  CounterController.next = async (n, tx) => {
    if (n === 3) await tx.query('select pg_terminate_backend(pg_backend_pid())');
  };
  await send(...ofOwnKeys(numbers(20)));
  await until('the others are handled', async () => (await effects()).length === 19);

  let next = 20;
  await until('it is dead', async () => {
    await send(...ofOwnKeys([++next]));
    return (await dead()).length === 1;
  });

  expect(await dead()).toMatchObject([{ attempts: 3 }]);
  await until('all others are handled', async () => (await effects()).length === next - 1);
});

it.each([
  ['a value that is too long', `insert into sandbox.narrow values ('too long')`, /too long/],
  ['a value that is missing', `insert into sandbox.narrow values (null)`, /null value/],
  ['data that cannot be read', `select 'x'::int`, /invalid input syntax/],
])('P5 a message with %s becomes a dead letter at once', async (_, statement, problem) => {
  await sql('create table sandbox.narrow (text varchar(3) not null)');
  const app = await start({ maxAttempts: 10 });
  CounterController.next = async (n, tx) => {
    if (n === 1) await tx.query(statement);
  };

  await send(...ofOwnKeys([1, 2, 3]));

  await until('it is dead', async () => (await dead()).length === 1);
  await until('the others are handled', async () => (await effects()).length === 2);
  expect(await dead()).toMatchObject([{ error: expect.stringMatching(problem) }]);
  expect(inboxHealth(app)).toMatchObject({ setbacks: 0, deadLetters: 1 });
});

it('P5 a parked message is not delayed when the database’s clock is set back', async () => {
  let failing = true;
  CounterController.next = () => {
    if (failing) throw new Error('not yet');
  };
  await start({ maxAttempts: 10, backOff: { firstMs: 60_000, maxMs: 60_000 } });
  await send(counted(1));
  await until('it is parked', async () => (await parked()).length === 1);
  await apps.pop()!.close();
  await sql(`update sandbox.inbox_parked set next_attempt_at = now() + interval '2 hours'`);
  failing = false;

  await start();

  await until('it is handled', async () => (await effects()).length === 1);
});
