import { type INestApplication } from '@nestjs/common';
import { consumerLags } from '../kafka/group-offsets.js';
import { type InboxOptions } from '../messaging-options.js';
import { type Child } from '../../test/child.js';
import { startCounterChild } from '../../test/counter-child.js';
import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

const SESSION = { sessionMs: 1000 };
const PARTITIONS = [0, 1, 2, 3];

let sandbox: Sandbox;
const apps: INestApplication[] = [];
const children: Child[] = [];

async function start(options: Partial<InboxOptions> = {}): Promise<INestApplication> {
  const app = await startCounter(sandbox, { ...SESSION, ...options });
  apps.push(app);
  return app;
}

const send = (...records: RawRecord[]) => produce(sandbox.options.brokers, sandbox.consumer.topic.name, records);

/** The effects by key, in the order in which they happened. */
async function effects(): Promise<Record<string, number[]>> {
  const rows = await sandbox.database.sql<{ key: string; all: number[] }>(
    'select key, array_agg(n order by seq) as all from sandbox.effects group by key',
  );
  return Object.fromEntries(rows.map(({ key, all }) => [key, all]));
}

async function effectCount(): Promise<number> {
  const [row] = await sandbox.database.sql<{ count: number }>('select count(*)::int from sandbox.effects');
  return row!.count;
}

/** Returns `perPartition` messages for each partition, spread over 4 keys, with the messages of each key numbered in order. */
function load(perPartition: number): { records: RawRecord[]; expected: Record<string, number[]> } {
  const records = PARTITIONS.flatMap((partition) =>
    Array.from({ length: perPartition }, (_, n) => counted(n, { key: `${partition}/${n % 4}`, partition })),
  );
  const numbers = (key: number) => Array.from({ length: perPartition }, (_, n) => n).filter((n) => n % 4 === key);
  const keys = PARTITIONS.flatMap((partition) => [0, 1, 2, 3].map((key) => [`${partition}/${key}`, numbers(key)]));
  return { records, expected: Object.fromEntries(keys) as Record<string, number[]> };
}

/** The committed offset of each partition. */
async function committed(perPartition: number): Promise<number[]> {
  const { groupId, topic } = sandbox.consumer;
  const options = { brokers: sandbox.options.brokers, clientId: 'test' };
  const [lag] = await consumerLags(options, [{ groupId, topic: topic.name }]);
  return lag!.partitions.map(({ messages }) => perPartition - messages);
}

beforeEach(async () => {
  sandbox = await createSandbox();
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
});

afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

describe('a group', () => {
  it('P4 has committed the offsets of handled messages to Kafka when it stops in mid-batch', async () => {
    const records = PARTITIONS.flatMap((partition) =>
      Array.from({ length: 100 }, (_, n) => counted(n, { key: `${partition}`, partition })),
    );
    CounterController.next = async (_, tx) => void (await tx.query('select pg_sleep(0.005)'));
    await send(...records);
    const app = await start();
    await until('some are handled', async () => (await effectCount()) > 20);

    await app.close();

    const handled = await effects();
    const uncommitted = (await committed(100)).map((offset, partition) => (handled[partition]?.length ?? 0) - offset);
    // The message in flight is finished, but its offset is not committed any more.
    expect(uncommitted.every((count) => count === 0 || count === 1)).toBe(true);
    expect(await effectCount()).toBeLessThan(400);
  });

  it('P2 P4 rebalances in mid-batch: nothing twice or out of order, and no offset committed too early', async () => {
    const { records, expected } = load(200);
    CounterController.next = async (_, tx) => void (await tx.query('select pg_sleep(0.01)'));
    const early: unknown[] = [];
    const watching = new AbortController();
    const watch = async () => {
      while (!watching.signal.aborted) {
        const upTo = await committed(200);
        const had = await effects();
        const missing = upTo.flatMap((offset, partition) =>
          Array.from({ length: offset }, (_, n) => n).filter((n) => !had[`${partition}/${n % 4}`]?.includes(n)),
        );
        if (missing.length > 0) early.push(missing);
      }
    };
    await start();
    await send(...records);
    await until('some are handled', async () => (await effectCount()) > 20);
    const watched = watch();

    for (let n = 0; n < 2; n++) {
      const before = await effectCount();
      const other = await start();
      await until('the other one handles some', () => Number(inboxHealth(other)['processed']) > 10);
      await other.close();
      expect(before).toBeLessThan(800);
    }
    await until('all are handled', async () => (await effectCount()) >= 800);
    watching.abort();
    await watched;

    expect(await effects()).toEqual(expected);
    expect(early).toEqual([]);
  });

  it('P4 P8 is left within 10 s of SIGTERM under load: others handle the messages in flight, none twice', async () => {
    const { records, expected } = load(150);
    const slow = `async (_, tx) => void (await tx.query('select pg_sleep(0.02)'))`;
    const child = startCounterChild(sandbox, { ...SESSION, next: slow });
    children.push(child);
    await send(...records);
    await until('the first is busy', async () => (await effectCount()) > 40);
    await start();

    const askedAt = performance.now();
    child.signal('SIGTERM');
    const code = await child.gone();
    const tookMs = performance.now() - askedAt;
    const before = await effectCount();
    await until('all are handled', async () => (await effectCount()) >= 600);

    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(10_000);
    expect(before).toBeLessThan(600);
    expect(await effects()).toEqual(expected);
    // A clean handover makes no process cautious.
    expect(await sandbox.database.sql('select from sandbox.inbox_in_flight where deaths > 0')).toEqual([]);
  });

  it('P4 does not rebalance while a handler takes three times as long as the session, with an idle instance', async () => {
    const both = [await start(), await start()];
    await until('both have joined', () => both.every((app) => Number(inboxHealth(app)['joins']) > 0));
    // Once these messages are handled, the group has settled.
    await send(...PARTITIONS.map((partition) => counted(partition, { key: 'before', partition })));
    await until('all partitions have an owner', async () => (await effectCount()) === 4);
    await until('each instance has some', () => both.every((app) => inboxHealth(app)['processed'] !== 0));
    const joins = both.map((app) => inboxHealth(app)['joins']);
    CounterController.next = async (_, tx) => void (await tx.query('select pg_sleep(3.5)'));

    await send(counted(1));
    await until('it is handled', async () => (await effectCount()) === 5);

    expect(both.map((app) => inboxHealth(app)['joins'])).toEqual(joins);
  });
});
