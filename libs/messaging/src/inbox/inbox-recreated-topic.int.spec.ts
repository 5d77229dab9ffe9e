import { randomUUID } from 'node:crypto';
import { type INestApplication, Logger } from '@nestjs/common';
import { Kafka, logLevel } from 'kafkajs';
import { CrashMarks } from './crash-marks.js';
import { PermanentError } from '../errors.js';
import { createTopics } from '../kafka/topics.js';
import { type InboxOptions } from '../messaging-options.js';
import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

const BY_ANN = { actor: 'ann@example.com', reason: 'seen in ticket 7' };

let sandbox: Sandbox;
const apps: INestApplication[] = [];
const handled: number[] = [];

async function start(options: Partial<InboxOptions> = {}): Promise<INestApplication> {
  const app = await startCounter(sandbox, { backOff: { firstMs: 50, maxMs: 200 }, ...options });
  apps.push(app);
  return app;
}

async function stop(): Promise<void> {
  await Promise.all(apps.splice(0).map((app) => app.close()));
}

const send = (...records: RawRecord[]) =>
  produce(
    sandbox.options.brokers,
    sandbox.consumer.topic.name,
    records.map((record) => ({ partition: 0, ...record })),
  );
const parked = () =>
  sandbox.database.sql<{ id: string; offset: string; key: Buffer; dead_at: Date | null; error: string | null }>(
    'select * from sandbox.inbox_parked order by id',
  );
const dead = async () => (await parked()).filter(({ dead_at }) => dead_at !== null);
const unreadable = (): RawRecord => ({ key: 'a', value: 'x', headers: {} });

async function withAdmin(work: (admin: ReturnType<Kafka['admin']>) => Promise<unknown>): Promise<void> {
  const admin = new Kafka({ brokers: [...sandbox.options.brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Deletes the topic with all its records and creates it again. No consumer may run meanwhile. */
async function recreateTopic(): Promise<void> {
  const { topic, groupId } = sandbox.consumer;
  const { brokers, service } = sandbox.options;
  await until('the group is deleted', async () => {
    await withAdmin((admin) => admin.deleteGroups([groupId]));
    return true;
  });
  await withAdmin((admin) => admin.deleteTopics({ topics: [topic.name] }));
  await until('the topic is empty', async () => {
    await createTopics({ brokers, clientId: service }, [topic]);
    let high: string[] = [];
    await withAdmin(async (admin) => (high = (await admin.fetchTopicOffsets(topic.name)).map((one) => one.high)));
    return high.length === topic.partitions && high.every((offset) => offset === '0');
  });
}

/** Makes Kafka deliver everything on the topic again. No consumer may run meanwhile. */
async function rewind(): Promise<void> {
  await until('the group is deleted', async () => {
    await withAdmin((admin) => admin.deleteGroups([sandbox.consumer.groupId]));
    return true;
  });
}

beforeEach(async () => {
  sandbox = await createSandbox();
  Logger.overrideLogger(['fatal']);
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  handled.length = 0;
  CounterController.next = (n) => void handled.push(n);
});

afterEach(async () => {
  await stop();
  await sandbox.close();
});

describe('a topic that is deleted and created again', () => {
  it('P2 P5 parks a message that fails at the offset of an old dead letter', async () => {
    CounterController.next = () => {
      throw new PermanentError('poison');
    };
    await start();
    await send(counted(1, { key: 'a' }));
    await until('the old one is dead', async () => (await dead()).length === 1);
    await stop();
    await recreateTopic();
    let failing = true;
    CounterController.next = (n) => {
      if (failing) throw new Error('not yet');
      handled.push(n);
    };

    await start({ maxAttempts: 2 });
    await send(counted(2, { key: 'b' }), counted(3, { key: 'b' }));
    await until('the new one is dead too', async () => (await dead()).length === 2);
    await until('the next of its key waits', async () => (await parked()).length === 3);
    const letters = await dead();
    failing = false;
    const retried = await sandbox.deadLetters.retry({ box: 'inbox', key: 'b' }, BY_ANN);
    await until('its whole key is handled', async () => (await parked()).length === 1);
    const discarded = await sandbox.deadLetters.discard({ box: 'inbox', key: 'a' }, BY_ANN);

    expect(letters.map(({ key, offset }) => [String(key), offset])).toEqual([
      ['a', '0'],
      ['b', '0'],
    ]);
    expect([retried, discarded]).toEqual([1, 1]);
    expect(handled).toEqual([2, 3]);
    expect(await parked()).toEqual([]);
  });

  it('P3 handles parked messages of a key in order of arrival', async () => {
    let failing = true;
    CounterController.next = (n) => {
      if (failing) throw new Error('not yet');
      handled.push(n);
    };
    const ignored = { ...counted(0).headers, ce_type: 'Ignored' };
    await send(...Array.from({ length: 1000 }, (_, n) => counted(n, { headers: { ...ignored, ce_id: randomUUID() } })));
    await start({ maxAttempts: 1_000_000 });
    await send(counted(21), counted(22));
    await until('both are parked', async () => (await parked()).length === 2);
    await stop();
    await recreateTopic();

    await start({ maxAttempts: 1_000_000 });
    await send(counted(23));
    await until('the third waits behind them', async () => (await parked()).length === 3);
    failing = false;
    await until('all are handled', async () => (await parked()).length === 0);

    expect(handled).toEqual([21, 22, 23]);
  });

  it('P3 handles retried dead letters of a key in order of arrival', async () => {
    CounterController.next = () => {
      throw new PermanentError('poison');
    };
    await start();
    await send(...[1, 2, 3].map((n) => counted(n, { key: `k${n}` })), counted(21), counted(22));
    await until('all are parked', async () => (await parked()).length === 5);
    await stop();
    await recreateTopic();
    await start();
    await send(counted(23));
    await until('the last one waits', async () => (await parked()).length === 6);
    const letter = (await sandbox.deadLetters.list({ box: 'inbox', key: 'a' })).items[0]!;
    const whole = await sandbox.deadLetters.find('inbox', letter.id);
    CounterController.next = (n) => void handled.push(n);

    await sandbox.deadLetters.retry({ box: 'inbox', key: 'a' }, BY_ANN);
    await until('the whole key is handled', () => handled.length === 3);

    expect(whole).toMatchObject({ waiting: 2 });
    expect(handled).toEqual([21, 22, 23]);
  });

  it('P5 keeps each unreadable record once, however often it is delivered', async () => {
    const first = await start();
    await send(unreadable(), counted(1, { key: 'b' }));
    await until('the first is dead', async () => (await dead()).length === 1 && handled.length === 1);
    expect(inboxHealth(first)).toMatchObject({ deadLetters: 1 });
    await stop();
    await rewind();
    const second = await start();
    await until('both are delivered again', () => inboxHealth(second)['duplicates'] === 2);
    const redelivered = await dead();
    await stop();
    await recreateTopic();

    await start();
    await send(unreadable());
    await until('the record of the new topic is dead too', async () => (await dead()).length === 2);
    const both = await dead();
    const retried = await sandbox.deadLetters.retry({ box: 'inbox', all: true }, BY_ANN);
    await until('both are dead again', async () => {
      const again = await dead();
      return again.length === 2 && again.every(({ dead_at }, n) => dead_at! > both[n]!.dead_at!);
    });
    const discarded = await sandbox.deadLetters.discard({ box: 'inbox', all: true }, BY_ANN);

    expect(redelivered).toHaveLength(1);
    expect(both.map(({ offset }) => offset)).toEqual(['0', '0']);
    expect([retried, discarded]).toEqual([2, 2]);
    expect(handled).toEqual([1]);
    expect(await parked()).toEqual([]);
  });

  it('P5 blames no message for deaths caused by an old one at the same offset', async () => {
    const { groupId, topic } = sandbox.consumer;
    // Three processes died handling the old message, and one had all of the old topic in flight.
    await sandbox.database.sql(
      `insert into sandbox.inbox_in_flight
         (id, consumer, topic, partition, first_offset, last_offset, recorded_from, recorded_to, deaths)
       values (gen_random_uuid(), $1, $2, 0, 0, 0, now() - interval '1 day', now() - interval '1 day', 3),
              (gen_random_uuid(), $1, $2, 0, 0, 99, now() - interval '1 day', now() - interval '1 hour', 0)`,
      [groupId, topic.name],
    );
    let inFlight = 0;
    let most = 0;
    CounterController.next = async (n, tx) => {
      most = Math.max(most, ++inFlight);
      await tx.query('select pg_sleep(0.1)');
      inFlight--;
      handled.push(n);
    };

    await send(counted(1, { key: 'a' }), counted(2, { key: 'b' }), counted(3, { key: 'c' }));
    await start();

    await until('all are handled', () => handled.length === 3);
    expect(await parked()).toEqual([]);
    // None of them was a suspect.
    expect(most).toBeGreaterThan(1);
  });

  it('P5 counts the deaths of a message while an old one is parked at its offset, or retried', async () => {
    const { groupId, topic } = sandbox.consumer;
    const marks = new CrashMarks('sandbox', groupId);
    const old = { topic: topic.name, partition: 0, offset: '7', timestamp: new Date('2026-01-01T00:00:00Z') };
    const place = { ...old, timestamp: new Date('2026-02-01T00:00:00Z') };
    await sandbox.database.sql(
      `insert into sandbox.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key,
         headers, value, holds_key, error, dead_at)
       values ($1, $2, 0, 7, $3, '/test', 'old', 'Counted', 'a', '{}', '{"n":1}', true, 'no', now())`,
      [groupId, topic.name, old.timestamp],
    );
    const { id } = await marks.markAlone(sandbox.dataSource, place);
    await marks.markAlone(sandbox.dataSource, old);
    const others = () => new CrashMarks('sandbox', groupId);

    await sandbox.deadLetters.retry({ box: 'inbox', all: true }, BY_ANN);
    await others().settle(sandbox.dataSource.manager, old);

    const found = await others().ofPartition(sandbox.dataSource, topic.name, 0);
    const record = { ...place, key: null, headers: {}, value: null };
    expect(found.runs([record])).toMatchObject([{ suspect: true }]);
    expect(found.runs([{ ...record, timestamp: old.timestamp }])).toMatchObject([{ suspect: false }]);
    expect(await sandbox.database.sql('select id, deaths from sandbox.inbox_in_flight')).toEqual([{ id, deaths: 1 }]);
    expect(await others().markAlone(sandbox.dataSource, place)).toMatchObject({ deaths: 1 });
    expect(await others().markAlone(sandbox.dataSource, old)).toMatchObject({ deaths: 0 });
  });

  it('P5 respects marks left by processes of the previous version', async () => {
    const { groupId, topic } = sandbox.consumer;
    await sandbox.database.sql(
      `insert into sandbox.inbox_in_flight (id, consumer, topic, partition, first_offset, last_offset, deaths)
       values (gen_random_uuid(), $1, $2, 0, 0, 0, 3)`,
      [groupId, topic.name],
    );
    await send(counted(1, { key: 'a' }), counted(2, { key: 'b' }));

    await start();

    await until('the other one is handled', () => handled.length === 1);
    await until('it is dead', async () => (await dead()).length === 1);
    expect(handled).toEqual([2]);
    expect(await dead()).toMatchObject([{ error: 'the process died 3 times while handling it' }]);
  });
});
