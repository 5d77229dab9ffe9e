import { jest } from '@jest/globals';
import { OffsetCommits, type Offsets } from './offset-commits.js';

let told: Record<number, string>[];
let failing: unknown[];
let trouble: Error | undefined;
let recorded: Record<number, string>[];
let recordTrouble: Error | undefined;
let commits: OffsetCommits;

beforeEach(() => {
  jest.useFakeTimers();
  told = [];
  failing = [];
  trouble = undefined;
  recorded = [];
  recordTrouble = undefined;
  commits = new OffsetCommits(
    (offsets: Offsets) => {
      if (trouble) return Promise.reject(trouble);
      told.push(Object.fromEntries(offsets));
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

it('tells once a second of each partition where to go on', async () => {
  commits.settle(0, '41');
  commits.settle(1, '9007199254740993');
  commits.settle(0, '42');
  await jest.advanceTimersByTimeAsync(999);
  expect(told).toEqual([]);
  await jest.advanceTimersByTimeAsync(1);

  expect(told).toEqual([{ 0: '43', 1: '9007199254740994' }]);
  await jest.advanceTimersByTimeAsync(5000);
  expect(told).toHaveLength(1);
});

it('tells at once when asked to, and nothing twice', async () => {
  commits.settle(0, '1');

  await commits.flush();
  await commits.flush();
  await jest.advanceTimersByTimeAsync(2000);

  expect(told).toEqual([{ 0: '2' }]);
});

it('tells in another way when that is given', async () => {
  const otherwise: Offsets[] = [];
  commits.settle(0, '1');

  await commits.flush((offsets) => Promise.resolve(void otherwise.push(offsets)));

  expect(told).toEqual([]);
  expect(otherwise).toEqual([new Map([[0, '2']])]);
});

it('tells the next time what it could not tell, and says when it fails for long', async () => {
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

  expect(told).toEqual([{ 0: '6', 1: '2' }]);
});

it('tells later what was settled while it told', async () => {
  commits.settle(0, '1');
  const gate = Promise.withResolvers<void>();
  const flushed = commits.flush(() => gate.promise);
  await Promise.resolve();
  await Promise.resolve();
  commits.settle(0, '2');
  gate.resolve();
  await flushed;
  await jest.advanceTimersByTimeAsync(1000);

  expect(told).toEqual([{ 0: '3' }]);
});

it('tells nothing any more, and leaves no timer, once its consumer is over', async () => {
  commits.settle(0, '1');
  trouble = new Error('gone');
  await commits.flush();

  commits.end();
  commits.settle(0, '2');
  await jest.advanceTimersByTimeAsync(5000);

  expect(told).toEqual([]);
  expect(jest.getTimerCount()).toBe(0);
  expect(failing).toEqual([]);
});

it('tells nothing of partitions that may be others’, even when it was just about to', async () => {
  commits.settle(0, '1');
  commits.settle(1, '1');
  trouble = new Error('rebalancing');
  await commits.flush();

  commits.forget();
  trouble = undefined;
  commits.settle(1, '7');
  await jest.advanceTimersByTimeAsync(1000);

  expect(told).toEqual([{ 1: '8' }]);
});

it('P2 writes the offsets down before it tells Kafka, all partitions at once', async () => {
  commits.settle(0, '1');
  commits.settle(1, '4');
  trouble = new Error('Kafka is away');
  await commits.flush();

  expect(recorded).toEqual([{ 0: '2', 1: '5' }]);
  expect(told).toEqual([]);
});

it('P2 tells Kafka nothing that could not be written down, and both of it later', async () => {
  recordTrouble = new Error('the database is away');
  commits.settle(0, '1');
  await jest.advanceTimersByTimeAsync(10_000);
  expect(told).toEqual([]);
  expect(failing).toEqual([recordTrouble]);

  recordTrouble = undefined;
  await jest.advanceTimersByTimeAsync(1000);

  expect(recorded).toEqual([{ 0: '2' }]);
  expect(told).toEqual([{ 0: '2' }]);
});

it('tells Kafka nothing that was forgotten while it was written down', async () => {
  commits.settle(0, '1');
  const flushed = commits.flush();
  await Promise.resolve();
  commits.forget();
  await flushed;
  await jest.advanceTimersByTimeAsync(2000);

  expect(recorded).toEqual([{ 0: '2' }]);
  expect(told).toEqual([]);
});
