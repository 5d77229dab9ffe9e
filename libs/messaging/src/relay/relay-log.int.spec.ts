import { jest } from '@jest/globals';
import { type QueryRunner } from 'typeorm';
import { RelayStore } from './relay-store.js';
import { connectStores, counts, createSandbox, inversions, type Sandbox } from '../../test/sandbox.js';
import { configureTopic } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await createSandbox();
});

afterEach(async () => {
  jest.restoreAllMocks();
  await sandbox.close();
});

/** Opens a transaction that stays open until `end`. */
async function openTransaction(): Promise<QueryRunner> {
  const runner = sandbox.dataSource.createQueryRunner();
  await runner.startTransaction();
  return runner;
}

async function end(runner: QueryRunner, how: 'commit' | 'rollback'): Promise<void> {
  await (how === 'commit' ? runner.commitTransaction() : runner.rollbackTransaction());
  await runner.release();
}

const gaps = async () => {
  const [row] = await sandbox.database.sql<{ gaps: string }>('select gaps::text from sandbox.relay_lease');
  return row?.gaps;
};

/** Waits long enough for a gap to be given up that no transaction can fill. */
async function severalPolls(): Promise<void> {
  const later = await sandbox.database.sql<{ at: Date }>(
    `select expires_at + interval '3 seconds' as at from sandbox.relay_lease`,
  );
  await until('the lease was renewed several times', async () => {
    const rows = await sandbox.database.sql('select from sandbox.relay_lease where expires_at >= $1', [later[0]!.at]);
    return rows.length === 1;
  });
}

describe('P2 the relay loses no message of a writer', () => {
  it('that is slow to commit while others continue', async () => {
    const relay = sandbox.newRelay();
    const outbox = sandbox.outboxOf(relay);
    relay.start();
    const slow = await openTransaction();
    await sandbox.add(outbox, 'slow', 1, slow.manager);

    for (let n = 1; n <= 50; n++) await sandbox.add(outbox, 'quick', n);
    await until('the others are published', () => sandbox.topic.ofKey('quick').length === 50);
    await until('the gap is recorded', async () => (await gaps()) === '{[1,2)}');
    await severalPolls();
    await end(slow, 'commit');

    await until('the late one is published', () => sandbox.topic.ofKey('slow').length === 1);
    await sandbox.drained();
    expect(await gaps()).toBe('{}');
    expect(sandbox.topic.records).toHaveLength(51);
  });

  it('that is slow to commit when the relay that skipped its position is gone', async () => {
    const [first, second] = [sandbox.newRelay(), sandbox.newRelay()];
    const outbox = sandbox.outboxOf(first);
    first.start();
    const slow = await openTransaction();
    await sandbox.add(outbox, 'slow', 1, slow.manager);
    await sandbox.add(outbox, 'quick', 1);
    await until('the other is published', () => sandbox.topic.ofKey('quick').length === 1);

    await first.stop();
    second.start();
    await until('the second leads', () => second.health()['role'] === 'leader');
    await end(slow, 'commit');

    await until('the late one is published', () => sandbox.topic.ofKey('slow').length === 1);
    await sandbox.drained();
    expect(counts(sandbox.topic, 'quick')).toEqual([1]);
  });

  it('that has drawn its position but has no transaction id yet', async () => {
    const relay = sandbox.newRelay();
    const outbox = sandbox.outboxOf(relay);
    relay.start();
    await sandbox.database.sql(`create function sandbox.wait() returns text language plpgsql volatile as
      $$ begin perform pg_advisory_lock_shared(7); perform pg_advisory_unlock_shared(7); return '{"n":1}'; end $$`);
    const gate = await openTransaction();
    await gate.query('select pg_advisory_lock(7)');
    const writer = await openTransaction();
    // A sequence logs 32 values ahead. Drawing one of these assigns no transaction id, unless a checkpoint has started since.
    await sandbox.add(outbox, 'before', 1);
    const writing = writer.query(
      `insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
       values (gen_random_uuid(), 'counter', 'held', 'Counted', 'urn:event:Counted:1', 1, sandbox.wait())`,
    );
    await until('the writer waits', async () => {
      const waiting = await sandbox.database.sql(
        `select from pg_stat_activity
          where wait_event = 'advisory' and backend_xid is null and datname = current_database()`,
      );
      return waiting.length === 1;
    });

    for (let n = 1; n <= 3; n++) await sandbox.add(outbox, 'quick', n);
    await until('the gap is recorded', async () => (await gaps()) === '{[2,3)}');
    await severalPolls();
    await gate.query('select pg_advisory_unlock(7)');
    await writing;
    await end(writer, 'commit');
    await end(gate, 'commit');

    await until('it is published', () => sandbox.topic.ofKey('held').length === 1);
  });

  it('whose row is found by the read during which the relay is stopped', async () => {
    const [first, second] = [sandbox.newRelay(), sandbox.newRelay()];
    const outbox = sandbox.outboxOf(first);
    const slow = await openTransaction();
    await sandbox.add(outbox, 'slow', 1, slow.manager);
    await sandbox.add(outbox, 'quick', 1);
    let committed: Promise<void> | undefined;
    let stopped: Promise<void> | undefined;
    const openWriters = Reflect.get(RelayStore.prototype, 'openWriters');
    const read = Reflect.get(RelayStore.prototype, 'read');
    jest.spyOn(RelayStore.prototype, 'openWriters').mockImplementation(async function (this: RelayStore) {
      await (committed ??= end(slow, 'commit'));
      return openWriters.call(this);
    });
    jest.spyOn(RelayStore.prototype, 'read').mockImplementation(async function (this: RelayStore, ...args) {
      const rows = await read.apply(this, args);
      if (rows.some(({ aggregateid }) => aggregateid === 'slow')) stopped ??= first.stop();
      return rows;
    });

    first.start();
    await until('it has found the late one, and stops', () => stopped !== undefined);
    await stopped;
    second.start();

    await until('the second publishes it', () => sandbox.topic.ofKey('slow').length === 1, 10_000);
    await sandbox.drained();
    expect(counts(sandbox.topic, 'quick')).toEqual([1]);
  });
});

it('P6 a transaction that stays open for the whole test blocks nothing and keeps no gap open', async () => {
  const foreign = await openTransaction();
  await foreign.query('set transaction isolation level repeatable read');
  await foreign.query('select from sandbox.outbox');
  const relay = sandbox.newRelay();
  const outbox = sandbox.outboxOf(relay);
  relay.start();

  for (let n = 1; n <= 20; n++) {
    const rolledBack = await openTransaction();
    await sandbox.add(outbox, 'never', n, rolledBack.manager);
    await end(rolledBack, 'rollback');
    await sandbox.add(outbox, 'a', n);
  }

  await until('all are published', () => sandbox.topic.ofKey('a').length === 20);
  await until('no gap is left', async () => (await gaps()) === '{}');
  await end(foreign, 'commit');
});

describe('P5 a message that Kafka rejects', () => {
  const MAX_BYTES = 20_000;
  const big = { n: 3, filler: 'x'.repeat(MAX_BYTES) };

  const limitTopic = (bytes: number) =>
    configureTopic(sandbox.options.brokers, sandbox.consumer.topic.name, { 'max.message.bytes': String(bytes) });

  const parked = () =>
    sandbox.database.sql<{ sequence: string; dead: boolean; error: string | null }>(
      'select sequence, dead_at is not null as dead, error from sandbox.outbox_parked order by position',
    );

  async function addSome(): Promise<void> {
    const outbox = sandbox.outboxOf(sandbox.newRelay());
    await sandbox.dataSource.transaction(async (tx) => {
      for (let n = 1; n <= 5; n++) {
        const aggregate = { aggregateType: 'counter', aggregateId: 'a', version: n };
        await outbox.add(tx, aggregate, [{ type: 'Counted', data: n === 3 ? big : { n } }]);
        await sandbox.add(outbox, `other-${n}`, n, tx);
      }
    });
  }

  it('becomes a dead letter that holds only its own key until it is retried', async () => {
    await limitTopic(MAX_BYTES);
    await addSome();
    const relay = sandbox.newRelay();
    relay.start();
    await until(
      'the others are published',
      () => new Set(sandbox.topic.records.map(({ key }) => String(key))).size === 6,
    );
    await sandbox.drained();
    expect(new Set(counts(sandbox.topic, 'a'))).toEqual(new Set([1, 2]));
    expect(await parked()).toMatchObject([
      { sequence: '3', dead: true, error: expect.stringMatching(/larger|large/) },
      { sequence: '4', dead: false },
      { sequence: '5', dead: false },
    ]);

    await limitTopic(1_000_000);
    await sandbox.deadLetters.retry({ box: 'outbox', all: true }, { actor: 'test' });

    await until('the rest of the key is published', () => counts(sandbox.topic, 'a').includes(5));
    expect([...new Set(counts(sandbox.topic, 'a'))]).toEqual([1, 2, 3, 4, 5]);
    expect(inversions(sandbox.topic)).toEqual([]);
    await until('nothing is parked', async () => (await parked()).length === 0);
  });

  it('does not prevent others of its key from being retried if the key is not held', async () => {
    await limitTopic(MAX_BYTES / 2);
    const relay = sandbox.newRelay(undefined, undefined, { afterDeadLetter: 'go-on' });
    const outbox = sandbox.outboxOf(relay);
    await sandbox.dataSource.transaction(async (tx) => {
      for (let n = 1; n <= 4; n++) {
        const filler = 'x'.repeat(n === 1 || n === 3 ? MAX_BYTES : 0.6 * MAX_BYTES);
        const aggregate = { aggregateType: 'counter', aggregateId: 'a', version: n };
        await outbox.add(tx, aggregate, [{ type: 'Counted', data: { n, filler } }]);
      }
    });
    relay.start();
    await until('all are dead', async () => (await parked()).filter(({ dead }) => dead).length === 4);

    await limitTopic(MAX_BYTES);
    await sandbox.deadLetters.retry({ box: 'outbox', all: true }, { actor: 'test' });

    await until('what is small enough now is published', () => counts(sandbox.topic, 'a').includes(4), 10_000);
    await until('the rest is dead again', async () => {
      const rows = await parked();
      return rows.length === 2 && rows.every(({ dead, sequence }) => dead && ['1', '3'].includes(sequence));
    });
    expect([...new Set(counts(sandbox.topic, 'a'))]).toEqual([2, 4]);
  });

  it('does not become a dead letter if only its batch was too large', async () => {
    await limitTopic(MAX_BYTES);
    const outbox = sandbox.outboxOf(sandbox.newRelay());
    const filler = 'x'.repeat(2000);
    await sandbox.dataSource.transaction(async (tx) => {
      for (let n = 1; n <= 100; n++) {
        const aggregate = { aggregateType: 'counter', aggregateId: `key-${n % 3}`, version: n };
        await outbox.add(tx, aggregate, [{ type: 'Counted', data: { n, filler } }]);
      }
    });

    sandbox.newRelay().start();

    await sandbox.drained();
    await until(
      'all are published',
      () => new Set(sandbox.topic.records.map(({ headers }) => headers['ce_id'])).size === 100,
    );
    expect(await parked()).toEqual([]);
    expect(inversions(sandbox.topic)).toEqual([]);
  });
});

describe('P7 a published message', () => {
  it('is kept by default', async () => {
    const relay = sandbox.newRelay();
    relay.start();

    await sandbox.add(sandbox.outboxOf(relay), 'a', 1);
    await sandbox.drained();

    expect(await sandbox.database.sql('select from sandbox.outbox')).toHaveLength(1);
  });

  it('is removed if messages are not kept, even behind an open transaction, and no writer waits', async () => {
    const foreign = await openTransaction();
    await foreign.query('set transaction isolation level repeatable read');
    await foreign.query('select from sandbox.outbox');
    const relay = sandbox.newRelay(undefined, undefined, { outboxRetentionMs: 0 });
    const outbox = sandbox.outboxOf(relay);
    relay.start();

    for (let n = 1; n <= 30; n++) await sandbox.add(outbox, 'a', n);

    await until('the outbox is empty', async () => {
      await sandbox.add(outbox, 'b', 1);
      const [row] = await sandbox.database.sql<{ count: number }>(
        `select count(*)::int as count from sandbox.outbox where aggregateid = 'a'`,
      );
      return row?.count === 0;
    });
    expect(counts(sandbox.topic, 'a')).toHaveLength(30);
    await end(foreign, 'commit');
  });
});

it('P3 hands over without duplicates when it is stopped in the middle of its work', async () => {
  const [first, second] = [sandbox.newRelay(), sandbox.newRelay()];
  const outbox = sandbox.outboxOf(first);
  first.start();
  const writing = Promise.all(
    ['a', 'b', 'c'].map(async (key) => {
      for (let n = 1; n <= 100; n++) await sandbox.add(outbox, key, n);
    }),
  );
  await until('some are published', () => sandbox.topic.records.length > 30);

  second.start();
  await first.stop();
  await writing;
  await sandbox.drained();

  await until('all are published', () => sandbox.topic.records.length >= 300);
  expect(sandbox.topic.records).toHaveLength(300);
  expect(inversions(sandbox.topic)).toEqual([]);
});

it('P6 cancels a statement on the server that it has given up on', async () => {
  const { poll } = await connectStores(sandbox.options);
  const blocker = await openTransaction();
  await blocker.query('lock table sandbox.relay_lease in access exclusive mode');

  await expect(poll.releaseLease('11111111-1111-4111-8111-111111111111')).rejects.toThrow('timeout');

  await until('no session waits', async () => {
    const waiting = await sandbox.database.sql(
      `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    );
    return waiting.length === 0;
  });
  await end(blocker, 'rollback');
  await poll.close();
});
