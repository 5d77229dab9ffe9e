import { type INestApplication } from '@nestjs/common';
import { Kafka, logLevel } from 'kafkajs';
import { CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { KafkaLink } from '../../test/kafka-link.js';
import { batchOf, CODEC, compress, countedRecord, produceBatch, recordBatch } from '../../test/record-batch.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
const apps: INestApplication[] = [];
const OPERATOR = { actor: 'operator' };

async function start(brokers = sandbox.options.brokers): Promise<INestApplication> {
  const app = await startCounter({ ...sandbox, options: { ...sandbox.options, brokers } });
  apps.push(app);
  return app;
}

async function send(partition: number, batch: Buffer | Promise<Buffer>): Promise<void> {
  const [broker = ''] = sandbox.options.brokers;
  await produceBatch(broker, sandbox.consumer.topic.name, partition, await batch);
}

/** Sends one batch of messages whose key is named after the partition. */
const sendCounted = (partition: number, numbers: readonly number[], codec: number = CODEC.none) =>
  send(
    partition,
    recordBatch(
      numbers.map((n) => countedRecord(n, `p${partition}`)),
      codec,
    ),
  );

const bombs = new Map<number, Promise<Buffer>>();

/** Sends a batch of two messages that the broker accepts but that expands to more than the consumer decompresses. */
async function sendBomb(partition: number, codec: number = CODEC.zstd): Promise<void> {
  const large = { ...countedRecord(2), value: Buffer.alloc(70_000_000, 'a') };
  const bomb = bombs.get(codec) ?? recordBatch([countedRecord(1), large], codec);
  bombs.set(codec, bomb);
  await send(partition, bomb);
}

async function effects(): Promise<Record<string, number[]>> {
  const rows = await sandbox.database.sql<{ key: string; n: number }>(
    'select key, n from sandbox.effects order by seq',
  );
  return Object.fromEntries([...Map.groupBy(rows, ({ key }) => key)].map(([key, all]) => [key, all.map(({ n }) => n)]));
}

const letters = async () => (await sandbox.deadLetters.list({ box: 'inbox' })).items;

async function committed(partition: number): Promise<number> {
  const admin = new Kafka({ brokers: [...sandbox.options.brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const { groupId, topic } = sandbox.consumer;
    const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic.name] });
    return Number(offsets?.partitions.find((one) => one.partition === partition)?.offset);
  } finally {
    await admin.disconnect();
  }
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

describe('a batch that cannot be decoded', () => {
  it('P5 becomes one dead letter, and its own and all other partitions continue', async () => {
    await sendCounted(0, [1, 2]);
    await sendBomb(0);
    await sendCounted(0, [3]);
    for (const partition of [1, 2, 3]) await sendCounted(partition, [1]);
    const app = await start();

    await until('all partitions are handled', async () => Object.values(await effects()).flat().length === 6);
    await until('the batch is committed', async () => (await committed(0)) === 5);
    const [letter, ...others] = await letters();

    expect(await effects()).toEqual({ p0: [1, 2, 3], p1: [1], p2: [1], p3: [1] });
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ partition: 0, offset: '3', key: null, messageId: null, attempts: 0 });
    expect(letter?.error).toBe(
      'cannot decode the batch at offsets 2–3 (2 messages): ' +
        'zstd decompression failed: expands to more than 67108864 bytes',
    );
    expect(inboxHealth(app)).toMatchObject({ healthy: true, deadLetters: 1, processed: 6 });
    await sendCounted(0, [4]);
    await until('the next message is handled', async () => (await effects())['p0']?.length === 4);
  });

  it.each(['gzip', 'lz4', 'zstd'] as const)('P7 is not decompressed beyond the limit with %s', async (name) => {
    await sendBomb(0, CODEC[name]);
    await sendCounted(0, [3]);
    await start();

    await until('the partition continues', async () => (await effects())['p0']?.length === 1);
    await until('the batch is kept', async () => (await letters()).length > 0);

    expect(await letters()).toMatchObject([
      { error: expect.stringContaining(`${name} decompression failed: expands`) },
    ]);
  });

  it('P5 is stored completely, stays a dead letter with its reason when it is retried, and can be discarded', async () => {
    await sendBomb(0);
    await start();
    const [letter] = await until(
      'it is a dead letter',
      async () => (await letters()).length === 1 && (await letters()),
    );
    const { id = '', error } = letter ?? {};
    const whole = await sandbox.deadLetters.find('inbox', id);

    await sandbox.deadLetters.retry({ box: 'inbox', ids: [id] }, OPERATOR);
    const [again] = await until('it is a dead letter again', async () => {
      const now = await letters();
      return now.length === 1 && now[0]?.diedAt.getTime() !== letter?.diedAt.getTime() && now;
    });
    const kept = await sandbox.deadLetters.find('inbox', id);
    await sandbox.deadLetters.discard(
      { box: 'inbox', ids: [id] },
      { ...OPERATOR, reason: 'the producer sent it again' },
    );

    expect(again).toMatchObject({ id, error });
    // Offset 0, format 2, codec zstd, exactly as the broker has the batch.
    expect(whole?.box === 'inbox' && whole.value?.readBigInt64BE(0)).toBe(0n);
    expect(whole?.box === 'inbox' && whole.value?.readInt8(16)).toBe(2);
    expect(kept).toMatchObject({ value: whole?.box === 'inbox' && whole.value });
    expect(await letters()).toEqual([]);
  });

  it('P4 P5 is one dead letter, however often it is delivered', async () => {
    await sendBomb(0);
    await sendCounted(0, [3]);
    const first = await start();
    await until('the partition continues', async () => (await effects())['p0']?.length === 1);
    await first.close();
    const admin = new Kafka({ brokers: [...sandbox.options.brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const { groupId, topic } = sandbox.consumer;
    // An offset in the middle of the batch.
    await until('the group is empty', () =>
      admin.setOffsets({ groupId, topic: topic.name, partitions: [{ partition: 0, offset: '1' }] }).then(() => true),
    );
    const next = await start();
    await until('both were delivered again', () => inboxHealth(next)['duplicates'] === 2);
    await admin.disconnect();

    expect(await letters()).toHaveLength(1);
    expect(await effects()).toEqual({ p0: [3] });
  });

  it('P5 does not stop the other partitions if its data is corrupt, and messages before and after it are handled', async () => {
    const [broker = ''] = sandbox.options.brokers;
    const link = await KafkaLink.open(broker);
    const records = [countedRecord(2, 'p0'), countedRecord(3, 'p0')];
    const batch = await recordBatch(records, CODEC.zstd);
    await sendCounted(0, [1]);
    await send(0, batch);
    await sendCounted(0, [4], CODEC.gzip);
    await sendCounted(1, [1], CODEC.lz4);
    // The broker checks what it receives, so the batch is changed on the way to the consumer.
    link.replaceInAnswers(batch.subarray(61, 81), Buffer.alloc(20, 0x55));
    await start([link.broker]);

    await until('the others are handled', async () => Object.values(await effects()).flat().length === 3);
    await until('the batch is kept', async () => (await letters()).length > 0);

    expect(await effects()).toEqual({ p0: [1, 4], p1: [1] });
    expect(await letters()).toMatchObject([
      { offset: '2', error: expect.stringContaining('zstd decompression failed') },
    ]);
    await Promise.all(apps.splice(0).map((app) => app.close()));
    await link.close();
  });

  it('P5 does not stop the other partitions if it has too many messages to decode', async () => {
    const many = Array.from({ length: 200_001 }, (_, n) => {
      const delta = 2 * n;
      return Buffer.from([16, 0, 0, (delta & 0x7f) | 0x80, ((delta >> 7) & 0x7f) | 0x80, delta >> 14, 1, 1, 0]);
    });
    const payload = await compress(CODEC.zstd, Buffer.concat(many));
    await send(0, batchOf(payload, { count: many.length, attributes: CODEC.zstd }));
    await sendCounted(0, [1]);
    await start();

    await until('the partition continues', async () => (await effects())['p0']?.length === 1);
    await until('the batch is kept', async () => (await letters()).length > 0);

    expect(await letters()).toMatchObject([{ offset: '200000', error: expect.stringContaining('200001 messages') }]);
  });
});

it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('P2 handles every message of batches in %s', async (name) => {
  await sendCounted(0, [1, 2, 3], CODEC[name]);
  await sendCounted(0, [4], CODEC.none);
  await start();

  await until('all are handled', async () => (await effects())['p0']?.length === 4);

  expect(await effects()).toEqual({ p0: [1, 2, 3, 4] });
});
