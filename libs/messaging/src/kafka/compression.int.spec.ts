import { type INestApplication } from '@nestjs/common';
import { startCounter } from '../../test/counter-process.js';
import { runJava, runsJava } from '../../test/java.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { configureTopic } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
const apps: INestApplication[] = [];

beforeEach(async () => {
  sandbox = await createSandbox();
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
});

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

async function start(): Promise<void> {
  apps.push(await startCounter(sandbox));
}

const effects = async () =>
  (await sandbox.database.sql<{ total: number }>('select count(*)::int as total from sandbox.effects'))[0]?.total;

(runsJava ? describe : describe.skip)('a Java client that compresses', () => {
  it('P2 P4 has each of its messages handled once with gzip, snappy, lz4 and zstd', async () => {
    const topic = sandbox.consumer.topic.name;
    const sent = await runJava('Produce.java', sandbox.options.brokers.join(), topic);
    await start();

    await until('all are handled', async () => (await effects()) === sent.length);
    const read = sandbox.topic.records.map(({ partition, key, value }) =>
      [partition, key, value].map(String).join('\t'),
    );

    // Each partition has its messages in the order in which they were sent, without those of aborted transactions.
    const byPartition = (lines: readonly string[]) => Map.groupBy(lines, ([partition]) => partition);
    expect(sent).toHaveLength(481);
    expect(byPartition(read)).toEqual(byPartition(sent));
    expect((await sandbox.deadLetters.list({ box: 'inbox' })).items).toEqual([]);
  });
});

describe('a broker that compresses', () => {
  it.each(['zstd', 'lz4', 'snappy', 'gzip'])(
    'P2 has all messages handled that the relay publishes to a topic with compression.type=%s',
    async (codec) => {
      await compressTopic(codec);
      const relay = sandbox.newRelay();
      const outbox = sandbox.outboxOf(relay);
      relay.start();
      await sandbox.dataSource.transaction(async (tx) => {
        for (let n = 1; n <= 100; n++) await sandbox.add(outbox, `key ${n % 7}`, n, tx);
      });
      await start();

      await until('all are handled', async () => (await effects()) === 100);
      await sandbox.drained();
      expect((await sandbox.deadLetters.list({ box: 'inbox' })).items).toEqual([]);
    },
  );
});

const compressTopic = (codec: string) =>
  configureTopic(sandbox.options.brokers, sandbox.consumer.topic.name, { 'compression.type': codec });
