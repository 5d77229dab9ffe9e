import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { ServiceConfig } from '../app/service-config.js';
import { IdempotencyHousekeeping } from './unit-of-work.module.js';

/** A fake database that removes the given number of keys with each statement, or fails. */
function housekeeping(removed: (number | Error)[]) {
  const query = jest.fn(async () => {
    const next = removed.shift() ?? 0;
    if (next instanceof Error) throw next;
    return Promise.resolve([[], next]);
  });
  const dataSource = { options: { schema: 'notes' }, query } as unknown as DataSource;
  return { keeper: new IdempotencyHousekeeping(dataSource, new ServiceConfig()), query };
}

const minutes = (count: number) => jest.advanceTimersByTimeAsync(count * 60_000);

beforeEach(() => {
  jest.useFakeTimers();
  Logger.overrideLogger(false);
});
afterEach(() => jest.useRealTimers());

it('removes expired keys within ten minutes, in chunks until one is not full, and then every ten minutes', async () => {
  const { keeper, query } = housekeeping([1000, 1000, 7]);

  keeper.onApplicationBootstrap();
  await minutes(4.9);
  const early = query.mock.calls.length;
  await minutes(5.2);
  const first = query.mock.calls.length;
  await minutes(60);
  const later = query.mock.calls.length - first;
  keeper.beforeApplicationShutdown();

  expect(early).toBe(0);
  expect(first).toBeGreaterThanOrEqual(3);
  expect(later).toBeGreaterThanOrEqual(5);
  expect(later).toBeLessThanOrEqual(13);
});

it('continues after an outage, and stops with the application', async () => {
  const { keeper, query } = housekeeping([new Error('gone'), 3]);
  keeper.onApplicationBootstrap();

  await minutes(21);
  const calls = query.mock.calls.length;
  keeper.beforeApplicationShutdown();
  await minutes(60);

  expect(calls).toBeGreaterThanOrEqual(2);
  expect(query.mock.calls).toHaveLength(calls);
  expect(jest.getTimerCount()).toBe(0);
});
