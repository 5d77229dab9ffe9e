import { jest } from '@jest/globals';
import { type EachBatchPayload } from 'kafkajs';
import { type Batch, deliver } from './batch.js';
import { OffsetCommits } from './offset-commits.js';

let commits: OffsetCommits;
let lastCommit: unknown[];
let isRunning: boolean;
let heartbeats: number;
let heartbeatError: Error | undefined;
let resolved: string[];
let owner: Parameters<typeof deliver>[1];

beforeEach(() => {
  jest.useFakeTimers();
  commits = new OffsetCommits(
    () => Promise.resolve(),
    () => undefined,
    () => Promise.resolve(),
  );
  lastCommit = [];
  [isRunning, heartbeats, heartbeatError, resolved] = [true, 0, undefined, []];
  owner = {
    heartbeatMs: 1000,
    commits,
    inDatabase: false,
    isMember: () => true,
    isInPlace: () => true,
    isStopping: () => false,
  };
});

afterEach(() => {
  commits.end();
  jest.useRealTimers();
});

/** What kafkajs passes with a batch of two messages that ends with a transaction marker. */
const payload = () =>
  ({
    batch: {
      topic: 'counts',
      partition: 3,
      highWatermark: '13',
      lastOffset: () => '12',
      messages: ['10', '11'].map((offset) => ({
        offset,
        timestamp: '5',
        key: Buffer.from('a'),
        value: null,
        headers: { one: Buffer.from('é'), several: [Buffer.from('first'), Buffer.from('last')], none: undefined },
      })),
    },
    heartbeat: () => {
      heartbeats++;
      return heartbeatError ? Promise.reject(heartbeatError) : Promise.resolve();
    },
    isRunning: () => isRunning,
    isStale: () => false,
    resolveOffset: (offset: string) => resolved.push(offset),
    commitOffsetsIfNecessary: (offsets: unknown) => Promise.resolve(void lastCommit.push(offsets)),
  }) as unknown as EachBatchPayload;

/** Delivers the batch, and returns what `onBatch` returns of it. */
async function delivered<T>(onBatch: (batch: Batch) => T | Promise<T>): Promise<T> {
  let result: T | undefined;
  await deliver(payload(), owner, async (batch) => {
    result = await onBatch(batch);
  });
  return result as T;
}

it('delivers records with text headers, of which the last value counts', async () => {
  const [record] = await delivered(({ records }) => records);

  expect(record).toEqual({
    topic: 'counts',
    partition: 3,
    offset: '10',
    timestamp: new Date(5),
    key: Buffer.from('a'),
    value: null,
    headers: { one: 'é', several: 'last', none: '' },
  });
});

it('P2 settles a transaction marker at the end of the batch with its last message, but not before', async () => {
  const settled: unknown[] = [];
  await delivered(async (batch) => {
    for (const record of batch.records) {
      batch.resolve(record);
      await commits.flush((offsets) => Promise.resolve(void settled.push(Object.fromEntries(offsets))));
    }
  });

  expect(resolved).toEqual(['10', '11']);
  expect(settled).toEqual([{ 3: '11' }, { 3: '13' }]);
});

it('sends heartbeats while the batch is processed, and none afterwards', async () => {
  await delivered(() => jest.advanceTimersByTimeAsync(3500));

  await jest.advanceTimersByTimeAsync(10_000);

  expect(heartbeats).toBe(3);
});

it('P2 abandons the batch after a failed heartbeat, commits what is settled, and lets kafkajs rejoin', async () => {
  heartbeatError = new Error('the group rebalances');
  const current: boolean[] = [];

  const delivery = delivered(async (batch) => {
    current.push(batch.isCurrent());
    await jest.advanceTimersByTimeAsync(1000);
    current.push(batch.isCurrent());
    batch.records.slice(0, 1).forEach((record) => batch.resolve(record));
  });

  await expect(delivery).rejects.toBe(heartbeatError);
  expect(current).toEqual([true, false]);
  const partitions = [{ partition: 3, offset: '11', metadata: null }];
  expect(lastCommit).toEqual([{ topics: [{ topic: 'counts', partitions }] }]);
});

it.each<[string, Partial<typeof owner>, boolean]>([
  ['after a rebalance', { isMember: () => false }, false],
  ['once the partition was repositioned', { isInPlace: () => false }, false],
  ['once the consumer has stopped', {}, true],
])('P2 a batch is not current %s', async (_, changed, hasStopped) => {
  owner = { ...owner, ...changed };
  isRunning = !hasStopped;

  expect(await delivered((batch) => batch.isCurrent())).toBe(false);
});

it.each<[string, Partial<typeof owner>, number]>([
  ['later while the group is stable', {}, 0],
  ['at once when the consumer stops', { isStopping: () => true }, 1],
  ['not at all once the partitions may belong to another member', { isStopping: () => true, isMember: () => false }, 0],
])('P2 the offsets of a batch are committed %s', async (_, changed, count) => {
  owner = { ...owner, ...changed };

  await delivered((batch) => batch.records.forEach((record) => batch.resolve(record)));

  expect(lastCommit).toHaveLength(count);
});

it('stops the heartbeats even if the batch fails', async () => {
  await expect(delivered(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');

  expect(jest.getTimerCount()).toBe(0);
});
