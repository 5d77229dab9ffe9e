import fc from 'fast-check';
import { backOffMs, pause, settlesWithin, WakeUpCall } from './waiting.js';

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
