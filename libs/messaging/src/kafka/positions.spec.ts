import { type FoundStart, type KafkaFacts } from './partition-start.js';
import { Positions } from './positions.js';

let stored: Map<number, bigint>;
let kafka: Map<number, KafkaFacts>;
let broken: Error | undefined;
let reads: Record<number, bigint>;
let placed: FoundStart[];
let failures: unknown[];
let forgotten: number;
let positions: Positions;

const at = (committed: bigint): KafkaFacts => ({ low: 0n, high: 100n, committed, marked: true });

beforeEach(() => {
  stored = new Map([
    [0, 40n],
    [1, 50n],
  ]);
  kafka = new Map([
    [0, at(40n)],
    [1, at(50n)],
  ]);
  broken = undefined;
  reads = {};
  placed = [];
  failures = [];
  forgotten = 0;
  positions = new Positions(
    {
      read: () => (broken ? Promise.reject(broken) : Promise.resolve(stored)),
      raise: (offsets, known) => {
        if ([...known].some(([partition, offset]) => (stored.get(partition) ?? -1n) < offset))
          return Promise.resolve(false);
        for (const [partition, offset] of offsets) stored.set(partition, offset);
        return Promise.resolve(true);
      },
      place: (starts) => Promise.resolve(void placed.push(...starts)),
    },
    {
      facts: () => Promise.resolve(kafka),
      readFrom: (partition, offset) => (reads[partition] = offset),
      commit: () => Promise.resolve(),
    },
    { wentBack: () => forgotten++, failed: (error) => failures.push(error) },
  );
});

afterEach(() => positions.end());

it('holds back fetches after joining until each partition has a start offset', async () => {
  positions.joined([0, 1]);
  expect(positions.waits(0)).toBe(true);

  await positions.suspended;

  expect(reads).toEqual({ 0: 40n, 1: 50n });
  expect(positions.suspended).toBeUndefined();
  expect(positions.waits(0)).toBe(false);
});

it('does not hold back a member without partitions', () => {
  positions.joined([]);

  expect(positions.suspended).toBeUndefined();
});

it('retries while the database is unavailable, and reports it', async () => {
  broken = new Error('away');
  positions.joined([0]);
  const { suspended } = positions;
  while (failures.length === 0) await Promise.resolve();
  expect(positions.suspended).toBe(suspended);

  broken = undefined;
  await suspended;

  expect(failures).toEqual([new Error('away')]);
  expect(reads).toEqual({ 0: 40n });
});

it('positions only the partitions of the latest assignment', async () => {
  positions.joined([0]);
  const before = positions.suspended;
  positions.joined([1]);

  await Promise.all([before, positions.suspended]);

  expect(reads).toEqual({ 1: 50n });
});

it('P2 discards the records in flight and continues from the database’s offset when that has gone back', async () => {
  positions.joined([0, 1]);
  await positions.suspended;
  await positions.raise(new Map([[0, 60n]]));
  const epoch = positions.epoch(0);
  stored.set(0, 45n);
  kafka.set(0, at(60n));

  await expect(positions.raise(new Map([[0, 70n]]))).rejects.toThrow('gone back');
  expect(positions.epoch(0)).not.toBe(epoch);
  expect(forgotten).toBe(1);
  await positions.suspended;

  expect(stored.get(0)).toBe(45n);
  expect(reads).toEqual({ 0: 45n, 1: 50n });
  expect(placed.at(-2)).toMatchObject({ partition: 0, again: 15n });
});

it('repositions only the partition whose offset Kafka rejected', async () => {
  positions.joined([0, 1]);
  await positions.suspended;
  reads = {};
  kafka.set(0, { low: 80n, high: 100n, committed: 40n, marked: true });

  positions.refused(0, 40n);
  await positions.suspended;

  expect(reads).toEqual({ 0: 80n });
  expect(placed.at(-1)).toMatchObject({ partition: 0, missed: 40n });
});
