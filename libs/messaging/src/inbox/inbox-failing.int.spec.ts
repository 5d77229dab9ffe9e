import { randomUUID } from 'node:crypto';
import { type INestApplication } from '@nestjs/common';
import { PermanentError } from '../errors.js';
import { type InboxOptions } from '../messaging-options.js';
import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
const apps: INestApplication[] = [];
const SOON = { firstMs: 50, maxMs: 200 };

async function start(options: Partial<InboxOptions> = {}): Promise<INestApplication> {
  const app = await startCounter(sandbox, { backOff: SOON, ...options });
  apps.push(app);
  return app;
}

const send = (...records: RawRecord[]) => produce(sandbox.options.brokers, sandbox.consumer.topic.name, records);

async function effects(key: string): Promise<number[]> {
  const rows = await sandbox.database.sql<{ n: number }>(
    `select n from sandbox.effects where key = '${key}' order by seq`,
  );
  return rows.map(({ n }) => n);
}

const parked = () => sandbox.database.sql('select * from sandbox.inbox_parked order by "offset"');

async function retry(): Promise<void> {
  await sandbox.database.sql(
    'update sandbox.inbox_parked set dead_at = null, attempts = 0, next_attempt_at = now() where dead_at is not null',
  );
}

beforeEach(async () => {
  sandbox = await createSandbox();
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
});

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

describe('a message whose handler fails', () => {
  it('P5 holds back only the later messages of its key, which follow it in order', async () => {
    let failing = true;
    CounterController.next = (n) => {
      if (n === 2 && failing) throw new Error('not yet');
    };
    await start({ maxAttempts: 1000 });

    await send(
      ...[1, 2, 3, 4].flatMap((n) => [counted(n, { partition: 0 }), counted(n + 10, { key: 'b', partition: 0 })]),
    );
    await until('the whole other key is handled', async () => (await effects('b')).length === 4);
    await until('the others of its key wait', async () => (await parked()).length === 3);
    const before = await effects('a');
    failing = false;
    await until('the whole key is handled', async () => (await effects('a')).length === 4);

    expect(before).toEqual([1]);
    expect(await effects('a')).toEqual([1, 2, 3, 4]);
    expect(await effects('b')).toEqual([11, 12, 13, 14]);
    expect(await parked()).toEqual([]);
  });

  it('P5 becomes a dead letter after its last attempt, holds its key, and is retried in order by an operator', async () => {
    let failing = true;
    let attempts = 0;
    CounterController.next = (n) => {
      if (n === 1 && failing) throw new Error(`no ${++attempts}`);
    };
    await start({ maxAttempts: 3 });
    await send(counted(1), counted(2), counted(3));
    await until(
      'it is dead',
      async () => (await parked()).filter((row) => row['attempts'] === 3 || row['attempts'] === 0).length === 3,
    );

    await send(counted(4));
    await until('the last is parked too', async () => (await parked()).length === 4);
    const [letter] = await parked();
    const before = await effects('a');
    failing = false;
    await retry();

    await until('the whole key is handled', async () => (await effects('a')).length === 4);
    expect(attempts).toBe(3);
    expect(letter).toMatchObject({ attempts: 3, error: 'no 3', holds_key: true });
    expect(before).toEqual([]);
    expect(await effects('a')).toEqual([1, 2, 3, 4]);
  });

  it('P5 releases its key when it is deleted with plain SQL', async () => {
    CounterController.next = (n) => {
      if (n === 1) throw new PermanentError('never');
    };
    const first = await start();
    await send(counted(1), counted(2), counted(3));
    await until('all are parked', async () => (await parked()).length === 3);

    await first.close();
    await sandbox.database.sql('delete from sandbox.inbox_parked where dead_at is not null');
    // A process looks for such keys when it starts, and every half minute.
    await start();

    await until('the whole key is handled', async () => (await effects('a')).length === 2);
    expect(await effects('a')).toEqual([2, 3]);
  });

  it('P5 does not hold its key as a dead letter with `go-on`', async () => {
    CounterController.next = (n) => {
      if (n === 1) throw new Error('never');
    };
    await start({ maxAttempts: 2, afterDeadLetter: 'go-on' });

    await send(counted(1), counted(2), counted(3));

    await until('the whole key is handled', async () => (await effects('a')).length === 2);
    await send(counted(4));
    await until('the next is handled', async () => (await effects('a')).length === 3);
    expect(await effects('a')).toEqual([2, 3, 4]);
    expect(await parked()).toMatchObject([{ attempts: 2, error: 'never' }]);
  });

  it('P5 uses up no attempts on lost connections', async () => {
    let kills = 0;
    CounterController.next = async (_, tx) => {
      if (++kills <= 4) await tx.query('select pg_terminate_backend(pg_backend_pid())');
    };
    await start({ maxAttempts: 1 });

    await send(counted(1), counted(2));

    await until('both are handled', async () => (await effects('a')).length === 2);
    expect(await effects('a')).toEqual([1, 2]);
    expect(await parked()).toEqual([]);
  });

  it('P5 uses up no attempts on lock contention', async () => {
    await sandbox.database.sql('create table sandbox.busy (id integer primary key)');
    const other = sandbox.dataSource.createQueryRunner();
    await other.startTransaction();
    await other.query('lock table sandbox.busy');
    CounterController.next = async (n, tx) => {
      if (n === 1) await tx.query('insert into sandbox.busy values (1)');
    };
    const app = await start({ maxAttempts: 1 });

    await send(counted(1, { partition: 0 }), counted(2, { key: 'b', partition: 0 }));

    await until('it is parked', async () => (await parked()).length === 1);
    expect(await parked()).toMatchObject([{ attempts: 0, dead_at: null }]);
    await other.rollbackTransaction();
    await other.release();
    await until('both are handled', async () => (await effects('a')).length + (await effects('b')).length === 2);
    expect(inboxHealth(app)).toMatchObject({ deadLetters: 0, failedAttempts: 0 });
  });
});

describe('duplicates', () => {
  it('P4 have no effect and cause no failed statement', async () => {
    const failed: string[] = [];
    sandbox.dataSource.subscribers.push({
      afterQuery: ({ success, query }) => {
        if (!success) failed.push(query);
      },
    });
    await start();
    const records = Array.from({ length: 100 }, (_, n) => counted(n, { key: `k${n % 7}` }));
    const again = records.filter((_, n) => n % 10 < 3);

    await send(...records.slice(0, 50), ...again, ...records.slice(50));
    await send(...again, counted(1000));

    await until('the last is handled', async () => (await effects('a')).length === 1);
    await until('all are', async () => (await sandbox.database.sql('select from sandbox.effects')).length >= 101);
    const all = await sandbox.database.sql<{ n: number }>('select n from sandbox.effects where n < 1000');
    expect(all.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(records.map((_, n) => n));
    expect(failed).toEqual([]);
  });

  it('P4 have no effect when partitions are reassigned in mid-batch', async () => {
    CounterController.next = async (_, tx) => void (await tx.query('select pg_sleep(0.01)'));
    const ids = Array.from({ length: 400 }, () => randomUUID());
    await start({ concurrency: 2 });
    await send(...ids.map((id, n) => counted(n, { id, key: `k${n % 20}` })));
    await until(
      'some are handled',
      async () => (await sandbox.database.sql('select from sandbox.effects')).length > 20,
    );

    const second = await start({ concurrency: 2 });
    await until('the second has partitions', () => inboxHealth(second)['processed'] !== 0, 40_000);
    await until(
      'all are handled',
      async () => (await sandbox.database.sql('select from sandbox.effects')).length >= 400,
    );

    for (let key = 0; key < 20; key++) {
      expect(await effects(`k${key}`)).toEqual(ids.map((_, n) => n).filter((n) => n % 20 === key));
    }
  });
});

describe('group commit', () => {
  it('P4 P5 handles messages individually when one fails', async () => {
    CounterController.next = (n) => {
      if (n === 5) throw new PermanentError('never');
    };
    await send(...Array.from({ length: 30 }, (_, n) => counted(n, { key: `k${n % 3}`, partition: 0 })));

    await start({ groupCommit: true });

    await until(
      'the other keys are handled',
      async () => (await effects('k0')).length + (await effects('k1')).length === 20,
    );
    await until('its key waits', async () => (await parked()).length === 9);
    expect(await effects('k0')).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
    expect(await effects('k2')).toEqual([2]);
    expect((await parked()).filter((row) => row['dead_at'] !== null)).toMatchObject([{ error: 'never' }]);
  });

  it('P4 handles many messages in one transaction', async () => {
    const transactions = new Set<unknown>();
    CounterController.next = async (_, tx) => {
      transactions.add((await tx.query('select pg_current_xact_id()::text as id'))[0].id);
    };
    await send(...Array.from({ length: 50 }, (_, n) => counted(n, { partition: 0 })));

    await start({ groupCommit: true });

    await until('all are handled', async () => (await effects('a')).length === 50);
    expect(await effects('a')).toEqual(Array.from({ length: 50 }, (_, n) => n));
    expect(transactions.size).toBe(1);
  });
});

describe('a consumer', () => {
  it('P4 does not start if the inbox would forget a message before Kafka deletes it', async () => {
    await send(counted(1));

    const app = await start({ inboxRetentionMs: 3_600_000 });

    await until('it is refused', () => !inboxHealth(app).healthy);
    expect(inboxHealth(app)).toMatchObject({
      consuming: false,
      problem: expect.stringContaining('must exceed retention.ms + segment.ms'),
    });
    expect(await effects('a')).toEqual([]);
  });
});
