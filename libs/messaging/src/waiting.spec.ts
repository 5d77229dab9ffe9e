import { jest } from '@jest/globals';
import fc from 'fast-check';
import { REFUSED } from './errors.js';
import { backOffMs, pause, repeat, retryMs, settlesWithin, WakeUpCall } from './waiting.js';

describe('backOffMs', () => {
  it('grows with the attempts, with jitter, up to the maximum', () => {
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1000, max: 60_000 }),
        (attempt, first, max) => {
          const ms = backOffMs(attempt, first, max);

          expect(ms).toBeGreaterThanOrEqual(Math.min(first, max) / 2);
          expect(ms).toBeLessThanOrEqual(Math.min(max, first * 2 ** Math.min(attempt, 30)));
        },
      ),
    );
  });
});

describe('pause', () => {
  it('ends when the signal aborts', async () => {
    const stop = new AbortController();
    const paused = pause(3_600_000, stop.signal);

    stop.abort();

    await expect(paused).resolves.toBeUndefined();
  });
});

describe('repeat', () => {
  it('waits before the first time, and longer before each of the others', async () => {
    const stop = new AbortController();
    const times = [performance.now()];

    await repeat({ firstMs: 20, everyMs: 60, stopping: stop.signal }, async () => {
      if (times.push(performance.now()) === 4) stop.abort();
    });

    const [first = 0, second = 0, third = 0] = times.slice(1).map((time, n) => time - (times[n] ?? 0));
    // A timer may fire up to a millisecond early.
    expect(first).toBeGreaterThanOrEqual(9);
    expect(second).toBeGreaterThanOrEqual(29);
    expect(third).toBeGreaterThanOrEqual(29);
  });

  it('works soon for the first time, however long the other waits are', async () => {
    const stop = new AbortController();
    const done = jest.fn();

    const repeated = repeat({ firstMs: 1, everyMs: 3_600_000, stopping: stop.signal }, async () => {
      done();
      setImmediate(() => stop.abort());
    });

    await expect(repeated).resolves.toBeUndefined();
    expect(done).toHaveBeenCalledTimes(1);
  });

  it('does not work any more when it is stopped', async () => {
    const stop = new AbortController();
    const work = jest.fn(() => Promise.resolve());
    const repeated = repeat({ firstMs: 3_600_000, everyMs: 1, stopping: stop.signal }, work);

    stop.abort();

    await expect(repeated).resolves.toBeUndefined();
    expect(work).not.toHaveBeenCalled();
  });

  it('fails as the work fails', async () => {
    const { signal } = new AbortController();

    const repeated = repeat({ firstMs: 1, everyMs: 1, stopping: signal }, () => Promise.reject(new Error('broken')));

    await expect(repeated).rejects.toThrow('broken');
  });
});

describe('settlesWithin', () => {
  it('is true for work that is done in time', async () => {
    await expect(settlesWithin(3_600_000, Promise.resolve())).resolves.toBe(true);
  });

  it('is false for work that never ends', async () => {
    await expect(settlesWithin(1, new Promise(() => undefined))).resolves.toBe(false);
  });

  it('fails as the work fails', async () => {
    await expect(settlesWithin(3_600_000, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });
});

describe('retryMs', () => {
  it('grows like any back-off after an outage', () => {
    expect(retryMs(new Error('away'), 0, 100, 3000)).toBeLessThanOrEqual(100);
    expect(retryMs(new Error('away'), 10, 100, 3000)).toBeGreaterThanOrEqual(1500);
  });

  it('is at least a second after a refusal', () => {
    const refusal = Object.assign(new Error('refused'), { code: REFUSED });

    expect(retryMs(refusal, 0, 100, 3000)).toBe(1000);
  });
});

describe('WakeUpCall', () => {
  it('remembers a call made while nothing waits', async () => {
    const wakeUp = new WakeUpCall();

    wakeUp.call();

    await expect(wakeUp.wait()).resolves.toBeUndefined();
  });

  it('wakes the waiting loop, and then forgets the call', async () => {
    const wakeUp = new WakeUpCall();
    const first = wakeUp.wait();
    wakeUp.call();
    await first;
    let woken = false;

    const second = wakeUp.wait().then(() => (woken = true));
    await Promise.resolve();
    expect(woken).toBe(false);
    wakeUp.call();
    await second;

    expect(woken).toBe(true);
  });
});
