import { jest } from '@jest/globals';
import { CachedReading } from './cached-reading.js';

const NEVER = new Promise<never>(() => undefined);

let requests: number;
let answer: () => Promise<number>;
let failures: unknown[];

beforeEach(() => {
  // Only the clock: the bound on a request is a real timer.
  jest.useFakeTimers({ doNotFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'nextTick', 'queueMicrotask'] });
  requests = 0;
  answer = () => Promise.resolve(requests);
  failures = [];
});

afterEach(() => {
  jest.useRealTimers();
});

const aReading = (boundMs = 3_600_000) =>
  new CachedReading(
    () => {
      requests++;
      return answer();
    },
    { freshMs: 1000, boundMs },
    (error) => failures.push(error),
  );

it('is shared by scrapes at the same time and soon after one another', async () => {
  const reading = aReading();

  const together = await Promise.all([reading.get(), reading.get()]);
  jest.advanceTimersByTime(999);
  const later = await reading.get();

  expect([...together, later]).toEqual([1, 1, 1]);
});

it('is repeated once it is no longer fresh', async () => {
  const reading = aReading();
  await reading.get();

  jest.advanceTimersByTime(1000);

  await expect(reading.get()).resolves.toBe(2);
});

it('stays fresh from its end, not from its beginning', async () => {
  const reading = aReading();
  answer = () => {
    jest.advanceTimersByTime(5000);
    return Promise.resolve(requests);
  };
  await reading.get();

  await reading.get();

  expect(requests).toBe(1);
});

it('is missing, counted and reported after a failure, and fails no scrape', async () => {
  const reading = aReading();
  answer = () => Promise.reject(new Error('away'));

  await expect(reading.get()).resolves.toBeUndefined();
  await expect(reading.get()).resolves.toBeUndefined();

  expect([requests, reading.failures, failures]).toEqual([1, 1, [new Error('away')]]);
  jest.advanceTimersByTime(1000);
  answer = () => Promise.resolve(7);
  await expect(reading.get()).resolves.toBe(7);
});

it('is shared by all scrapes that wait for it, however long it takes, so that its failure counts once', async () => {
  const gate = Promise.withResolvers<number>();
  const reading = aReading();
  answer = () => gate.promise;
  const first = reading.get();
  jest.advanceTimersByTime(5000);
  const second = reading.get();

  gate.reject(new Error('away'));

  expect(await Promise.all([first, second])).toEqual([undefined, undefined]);
  expect(reading.failures).toBe(1);
});

it('is missing if the system is silent, which is not asked again before it has answered', async () => {
  const gate = Promise.withResolvers<number>();
  const reading = aReading(1);
  answer = () => gate.promise;
  await expect(reading.get()).resolves.toBeUndefined();
  jest.advanceTimersByTime(1000);
  await expect(reading.get()).resolves.toBeUndefined();
  expect([requests, reading.failures]).toEqual([1, 2]);
  expect(failures[0]).toEqual(new Error('no answer within 1 ms'));

  gate.resolve(7);
  await new Promise(setImmediate);
  jest.advanceTimersByTime(1000);
  answer = () => NEVER;
  await expect(reading.get()).resolves.toBeUndefined();

  expect(requests).toBe(2);
});
