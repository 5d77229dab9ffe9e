import { canaryVerdict } from './canary.js';
import { stepSize, waitAfter } from './pace.js';

describe('the size of a step', () => {
  const sizes = (options: { canary?: boolean; ratePerSecond?: number }, steps: number) =>
    Array.from({ length: steps }, (_, done) => stepSize(options, done));

  it('is that of a transaction, without canary and rate', () => {
    expect(sizes({}, 3)).toEqual([200, 200, 200]);
  });

  it('grows with a canary from one item to that of a transaction', () => {
    expect(sizes({ canary: true }, 10)).toEqual([1, 2, 5, 10, 20, 50, 100, 200, 200, 200]);
  });

  it('is what a second allows with a rate, but at least one item', () => {
    expect(sizes({ ratePerSecond: 30 }, 2)).toEqual([30, 30]);
    expect(sizes({ ratePerSecond: 0.1 }, 2)).toEqual([1, 1]);
    expect(sizes({ ratePerSecond: 5000 }, 2)).toEqual([200, 200]);
    expect(sizes({ canary: true, ratePerSecond: 4 }, 4)).toEqual([1, 2, 4, 4]);
  });
});

describe('the wait after a step', () => {
  it('keeps the rate over the step and the wait together', () => {
    expect(waitAfter({ ratePerSecond: 20 }, 20, 300)).toBe(700);
    expect(waitAfter({ ratePerSecond: 0.1 }, 1, 0)).toBe(10_000);
  });

  it('is none without a rate, after a slow step, and after a step that handled nothing', () => {
    expect(waitAfter({}, 200, 10)).toBe(0);
    expect(waitAfter({ ratePerSecond: 20 }, 20, 1500)).toBe(0);
    expect(waitAfter({ ratePerSecond: 20 }, 0, 10)).toBe(0);
  });
});

describe('a canary', () => {
  const failure = { item: 'Letter 7 of the inbox', error: 'no' };

  it('goes on when every item has been processed, and waits before', () => {
    expect(canaryVerdict({ waiting: 0, failed: [] }, 0)).toEqual({ is: 'passed' });
    expect(canaryVerdict({ waiting: 3, failed: [] }, 599_999)).toEqual({ is: 'wait', waiting: 3 });
  });

  it('stops at the first failure, although other items wait', () => {
    expect(canaryVerdict({ waiting: 3, failed: [failure] }, 0)).toEqual({
      is: 'stop',
      problem: 'Letter 7 of the inbox failed again: no',
      failed: 1,
    });
    expect(canaryVerdict({ waiting: 0, failed: [failure, failure] }, 0)).toMatchObject({
      problem: 'Letter 7 of the inbox failed again: no, and 1 more',
      failed: 2,
    });
  });

  it('stops when items are not processed within ten minutes', () => {
    expect(canaryVerdict({ waiting: 1, failed: [] }, 600_000)).toMatchObject({
      is: 'stop',
      problem: expect.stringContaining('1 retried item was neither processed nor failed within 10 min'),
      failed: 0,
    });
  });
});
