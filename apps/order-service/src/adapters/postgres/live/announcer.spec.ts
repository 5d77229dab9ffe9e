import { jest } from '@jest/globals';
import { Announcer } from './announcer.js';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

describe('announcing commits to other replicas', () => {
  /** Commits at even intervals for a second, and returns how many notices were sent. */
  async function notices(everyMs: number): Promise<number> {
    const notify = jest.fn(() => Promise.resolve());
    const announcer = new Announcer(notify);
    for (let at = 0; at < 1000; at += everyMs) {
      announcer.announce();
      await jest.advanceTimersByTimeAsync(everyMs);
    }
    announcer.close();
    return notify.mock.calls.length;
  }

  it('sends a notice at once after a pause, and one for all later commits', async () => {
    const notify = jest.fn(() => Promise.resolve());
    const announcer = new Announcer(notify);

    announcer.announce();
    await jest.advanceTimersByTimeAsync(0);
    expect(notify).toHaveBeenCalledTimes(1);
    announcer.announce();
    announcer.announce();
    await jest.advanceTimersByTimeAsync(1000);

    expect(notify).toHaveBeenCalledTimes(2);
    announcer.close();
  });

  it('sends fewer notices under load, and none too many otherwise', async () => {
    expect(await notices(20)).toBe(50);
    expect(await notices(4)).toBeLessThanOrEqual(101);
    expect(await notices(1)).toBeLessThanOrEqual(42);
  });

  it('sends none after it was closed', async () => {
    const notify = jest.fn(() => Promise.resolve());
    const announcer = new Announcer(notify);

    announcer.announce();
    announcer.close();
    await jest.advanceTimersByTimeAsync(1000);

    expect(notify).not.toHaveBeenCalled();
  });

  it('tries again a second after a notice failed', async () => {
    const notify = jest.fn(() => Promise.reject(new Error('no connection')));
    const announcer = new Announcer(notify);

    announcer.announce();
    await jest.advanceTimersByTimeAsync(10);
    announcer.announce();
    await jest.advanceTimersByTimeAsync(900);
    expect(notify).toHaveBeenCalledTimes(1);
    await jest.advanceTimersByTimeAsync(100);

    expect(notify).toHaveBeenCalledTimes(2);
    announcer.close();
  });
});
