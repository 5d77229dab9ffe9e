import { type Logger } from '@nestjs/common';
import fc from 'fast-check';
import { type DataSource } from 'typeorm';
import { type Entry, entryOf } from './entry.js';
import { InFlightBatch } from './in-flight-batch.js';
import { type InboxAttempts } from './inbox-attempts.js';
import { inboxWork } from './inbox-work.js';
import { KeyChains } from './key-chains.js';
import { PartitionMarks } from './partition-marks.js';

const topic = { name: 'counts', aggregateType: 'counter', partitions: 1, retentionMs: 1, events: {} };

/** Takes messages with these keys, and records in which order attempts at them begin and end. `fail.at` may throw to fail an attempt. */
function takenWith(keys: readonly string[], concurrency: number, suspect = false) {
  const stop = new AbortController();
  const work = inboxWork(
    'test',
    { consumer: Symbol('counter'), groupId: 'counter', topic, concurrency },
    {
      dataSource: undefined as unknown as DataSource,
      logger: { warn: () => undefined } as unknown as Logger,
      stopping: stop.signal,
      isPaused: () => false,
      handles: () => true,
      handle: () => Promise.resolve(),
    },
  );
  const entries = keys.map((key, n): Entry => {
    const place = { topic: topic.name, partition: 0, offset: String(n) };
    const record = { ...place, timestamp: new Date(0), key: Buffer.from(key), value: null, headers: {} };
    return entryOf(record, { readable: false, sound: true, reason: '' });
  });
  const log: { key: string; n: number; at: 'begin' | 'end'; running: number }[] = [];
  const resolved: string[] = [];
  const fail: { at: (n: number) => void } = { at: () => undefined };
  let running = 0;
  const attempt = async ({ record }: Entry) => {
    const [key, n] = [String(record.key), Number(record.offset)];
    log.push({ key, n, at: 'begin', running: ++running });
    await new Promise(setImmediate);
    log.push({ key, n, at: 'end', running: running-- });
    fail.at(n);
  };
  const records = entries.map(({ record }) => record);
  const inFlight = new InFlightBatch(
    { records, hasMore: false, isCurrent: () => true, resolve: ({ offset }) => resolved.push(offset) },
    work,
  );
  const [run] = new PartitionMarks([], []).runs(records);
  const chains = new KeyChains(work, { one: attempt, alone: attempt } as unknown as InboxAttempts);
  const take = () => chains.handleIndividually(entries, { ...(run as NonNullable<typeof run>), suspect }, inFlight);
  return { take, log, resolved, stop, fail };
}

const someKeys = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 15 });

it('P3 handles the messages of a key one after another and in order', async () => {
  await fc.assert(
    fc.asyncProperty(someKeys, fc.integer({ min: 1, max: 4 }), async (keys, concurrency) => {
      const { take, log } = takenWith(keys, concurrency);

      await take();

      for (const key of new Set(keys)) {
        const own = log.filter((entry) => entry.key === key).map(({ n, at }) => `${at} ${n}`);
        const inOrder = keys.flatMap((other, n) => (other === key ? [`begin ${n}`, `end ${n}`] : []));
        expect(own).toEqual(inOrder);
      }
    }),
    { numRuns: 40 },
  );
});

it('handles as many keys at a time as the concurrency allows', async () => {
  await fc.assert(
    fc.asyncProperty(someKeys, fc.integer({ min: 1, max: 4 }), async (keys, concurrency) => {
      const { take, log } = takenWith(keys, concurrency);

      await take();

      expect(Math.max(...log.map(({ running }) => running))).toBe(Math.min(concurrency, new Set(keys).size));
    }),
    { numRuns: 40 },
  );
});

it('P5 handles suspect messages with nothing else in flight', async () => {
  const { take, log } = takenWith(['a', 'b', 'c', 'a'], 3, true);

  await take();

  expect(log).toHaveLength(8);
  expect(log.every(({ running }) => running === 1)).toBe(true);
});

it('P2 settles every message, so that the last offset is resolved', async () => {
  const { take, resolved } = takenWith(['a', 'b', 'a'], 2);

  await take();

  expect(resolved.at(-1)).toBe('2');
});

it('P3 does not overtake a message that is retried within its key, and handles other keys meanwhile', async () => {
  const { take, log, fail } = takenWith(['a', 'a', 'b'], 2);
  let failures = 0;
  fail.at = (n) => {
    if (n === 0 && failures++ === 0) throw new Error('contended');
  };

  await take();

  const order = log.filter(({ at }) => at === 'end').map(({ n }) => n);
  expect(order.filter((n) => n < 2)).toEqual([0, 0, 1]);
  expect(order.indexOf(2)).toBeLessThan(order.lastIndexOf(0));
});

it('begins no message once the batch is abandoned', async () => {
  const { take, log, resolved, stop, fail } = takenWith(['a', 'b', 'a', 'c'], 1);
  fail.at = (n) => {
    if (n === 0) stop.abort();
  };

  await take();

  expect(log.map(({ n }) => n)).toEqual([0, 0]);
  expect(resolved).toEqual(['0']);
});
