import { jest } from '@jest/globals';
import { OffsetCommits, type Offsets } from './offset-commits.js';

let committed: Record<number, string>[];
let failing: unknown[];
let trouble: Error | undefined;
let recorded: Record<number, string>[];
let recordTrouble: Error | undefined;
let commits: OffsetCommits;

beforeEach(() => {
  jest.useFakeTimers();
  committed = [];
  failing = [];
  trouble = undefined;
  recorded = [];
  recordTrouble = undefined;
  commits = new OffsetCommits(
    (offsets: Offsets) => {
      if (trouble) return Promise.reject(trouble);
      committed.push(Object.fromEntries(offsets));
      return Promise.resolve();
    },
    (error) => failing.push(error),
    (offsets: Offsets) => {
      if (recordTrouble) return Promise.reject(recordTrouble);
      recorded.push(Object.fromEntries(offsets));
      return Promise.resolve();
    },
  );
});

afterEach(() => {
  jest.useRealTimers();
});

it('commits the next offset of each partition once a second', async () => {
  commits.settle(0, '41');
  commits.settle(1, '9007199254740993');
  commits.settle(0, '42');
  await jest.advanceTimersByTimeAsync(999);
  expect(committed).toEqual([]);
  await jest.advanceTimersByTimeAsync(1);

  expect(committed).toEqual([{ 0: '43', 1: '9007199254740994' }]);
  await jest.advanceTimersByTimeAsync(5000);
  expect(committed).toHaveLength(1);
});

it('commits at once when flushed, and nothing twice', async () => {
  commits.settle(0, '1');

  await commits.flush();
  await commits.flush();
  await jest.advanceTimersByTimeAsync(2000);

  expect(committed).toEqual([{ 0: '2' }]);
});

it('commits through another function if one is passed', async () => {
  const otherwise: Offsets[] = [];
  commits.settle(0, '1');

  await commits.flush((offsets) => Promise.resolve(void otherwise.push(offsets)));

  expect(committed).toEqual([]);
  expect(otherwise).toEqual([new Map([[0, '2']])]);
});

it('retries failed commits the next time, and reports when they have failed for long', async () => {
  commits.settle(0, '1');
  commits.settle(1, '1');
  trouble = new Error('rebalancing');
  await jest.advanceTimersByTimeAsync(2000);
  expect(failing).toEqual([]);
  await jest.advanceTimersByTimeAsync(8000);
  expect(failing).toEqual([trouble]);

  commits.settle(0, '5');
  trouble = undefined;
  await jest.advanceTimersByTimeAsync(1000);

  expect(committed).toEqual([{ 0: '6', 1: '2' }]);
});

it('commits later what was settled during a commit', async () => {
  commits.settle(0, '1');
  const gate = Promise.withResolvers<void>();
  const flushed = commits.flush(() => gate.promise);
  await Promise.resolve();
  await Promise.resolve();
  commits.settle(0, '2');
  gate.resolve();
  await flushed;
  await jest.advanceTimersByTimeAsync(1000);

  expect(committed).toEqual([{ 0: '3' }]);
});

it('commits nothing and leaves no timer once its consumer has ended', async () => {
  commits.settle(0, '1');
  trouble = new Error('gone');
  await commits.flush();

  commits.end();
  commits.settle(0, '2');
  await jest.advanceTimersByTimeAsync(5000);

  expect(committed).toEqual([]);
  expect(jest.getTimerCount()).toBe(0);
  expect(failing).toEqual([]);
});

it('commits nothing for partitions that other members may own, even if it was about to', async () => {
  commits.settle(0, '1');
  commits.settle(1, '1');
  trouble = new Error('rebalancing');
  await commits.flush();

  commits.forget();
  trouble = undefined;
  commits.settle(1, '7');
  await jest.advanceTimersByTimeAsync(1000);

  expect(committed).toEqual([{ 1: '8' }]);
});

it('P2 stores the offsets of all partitions at once before committing them to Kafka', async () => {
  commits.settle(0, '1');
  commits.settle(1, '4');
  trouble = new Error('Kafka is away');
  await commits.flush();

  expect(recorded).toEqual([{ 0: '2', 1: '5' }]);
  expect(committed).toEqual([]);
});

it('P2 does not commit offsets that could not be stored, and does both later', async () => {
  recordTrouble = new Error('the database is away');
  commits.settle(0, '1');
  await jest.advanceTimersByTimeAsync(10_000);
  expect(committed).toEqual([]);
  expect(failing).toEqual([recordTrouble]);

  recordTrouble = undefined;
  await jest.advanceTimersByTimeAsync(1000);

  expect(recorded).toEqual([{ 0: '2' }]);
  expect(committed).toEqual([{ 0: '2' }]);
});

it('does not commit offsets that were discarded while they were being stored', async () => {
  commits.settle(0, '1');
  const flushed = commits.flush();
  await Promise.resolve();
  commits.forget();
  await flushed;
  await jest.advanceTimersByTimeAsync(2000);

  expect(recorded).toEqual([{ 0: '2' }]);
  expect(committed).toEqual([]);
});
