import { jest } from '@jest/globals';
import { callAt } from './call-at.js';

const DAY_MS = 24 * 3600 * 1000;

beforeEach(() => jest.useFakeTimers());

afterEach(() => jest.useRealTimers());

it.each([-1, 0, 1, 24, 25, 100])('calls back after %d days, and not before', (days) => {
  const callback = jest.fn();

  callAt(new Date(Date.now() + days * DAY_MS), callback);

  jest.advanceTimersByTime(Math.max(0, days * DAY_MS - 1));
  expect(callback).toHaveBeenCalledTimes(days <= 0 ? 1 : 0);
  jest.advanceTimersByTime(1);
  expect(callback).toHaveBeenCalledTimes(1);
});

it('does not call back once it is cancelled, however far away the time is', () => {
  const callback = jest.fn();
  const cancel = callAt(new Date(Date.now() + 60 * DAY_MS), callback);
  jest.advanceTimersByTime(40 * DAY_MS);

  cancel();

  jest.advanceTimersByTime(60 * DAY_MS);
  expect(callback).not.toHaveBeenCalled();
});
