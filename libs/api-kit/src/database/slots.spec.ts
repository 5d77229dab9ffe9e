import { jest } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { classifyDatabaseError } from './database-errors.js';
import { Slots } from './slots.js';

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

const failure = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

it('work beyond the slots waits for its turn, first come, first served', async () => {
  const slots = new Slots(1, 'readings');
  const order: number[] = [];
  const first = Promise.withResolvers<void>();
  const all = [
    slots.use(() => first.promise),
    ...[1, 2, 3].map((n) => slots.use(() => Promise.resolve(void order.push(n)))),
  ];

  first.resolve();
  await Promise.all(all);

  expect(order).toEqual([1, 2, 3]);
});

it('as much work runs at a time as there are slots, whether or not it fails', async () => {
  const slots = new Slots(2, 'readings');
  const begun: number[] = [];
  const tasks = [0, 1, 2, 3].map(() => Promise.withResolvers<number>());
  const results = tasks.map(({ promise }, index) =>
    slots.use(() => {
      begun.push(index);
      return promise;
    }),
  );

  expect(begun).toEqual([0, 1]);
  tasks[1]?.reject(new Error('failed'));
  await expect(results[1]).rejects.toThrow('failed');
  expect(begun).toEqual([0, 1, 2]);
  for (const [index, { resolve }] of tasks.entries()) resolve(index);

  expect(await Promise.all([results[0], results[2], results[3]])).toEqual([0, 2, 3]);
});

it('work that gets no slot in time fails, may be retried, and does not take up a slot', async () => {
  const slots = new Slots(1, 'readings');
  const first = Promise.withResolvers<string>();
  const running = slots.use(() => first.promise);
  const late = failure(slots.use(() => Promise.resolve()));

  jest.advanceTimersByTime(1200);
  const error = await late;
  first.resolve('done');

  expect(classifyDatabaseError(error)).toBe('try-again');
  expect(error).toMatchObject({ message: 'Too many readings are in progress at the moment.' });
  expect(await running).toBe('done');
  expect(await slots.use(() => Promise.resolve('next'))).toBe('next');
});

it('P8 all waiting work fails as soon as one of them meets an outage', async () => {
  const slots = new Slots(1, 'readings');
  const outage = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  const first = Promise.withResolvers<void>();
  const ends = [slots.use(() => first.promise), ...[1, 2].map(() => slots.use(() => Promise.resolve()))].map(failure);

  first.reject(outage);

  expect(await Promise.all(ends)).toEqual([outage, outage, outage]);
});

it('a fifth of the pool is left for reads, and a pool of one connection can still write', async () => {
  const concurrent = async (max: number): Promise<number> => {
    const slots = Slots.forChanges({ driver: { master: { options: { max } } } } as unknown as DataSource);
    let begun = 0;
    for (let n = 0; n < max + 1; n++) void slots.use(() => new Promise(() => begun++)).catch(() => undefined);
    return Promise.resolve(begun);
  };

  expect(await Promise.all([10, 4, 2, 1].map(concurrent))).toEqual([8, 3, 1, 1]);
});
