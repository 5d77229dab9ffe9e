import fc from 'fast-check';
import { FetchPace } from './fetch-pace.js';

const batch = (length: number, hasMore = false) => ({ records: { length }, hasMore });

describe('FetchPace', () => {
  it('waits until 40 ms after the fetch while messages arrive fast', () => {
    const pace = new FetchPace();
    const fetch = pace.fetched(batch(60), 1000);

    expect(pace.restMs(fetch, 1012)).toBe(28);
  });

  it.each([
    ['of 400 messages a second, for 24 of them', 40, 60],
    ['of 100 messages a second, for 100 ms', 10, 100],
  ])('waits longer while fewer arrive: %s', (_, inWindow, apartMs) => {
    const pace = new FetchPace();
    const fetch = pace.fetched(batch(inWindow), 1000);

    expect(pace.restMs(fetch, 1010)).toBe(apartMs - 10);
  });

  it.each([5, 20, 40])('treats 1,000 messages a second the same when they are fetched every %d ms', (everyMs) => {
    const pace = new FetchPace();
    let fetch = pace.fetched(batch(0), 0);
    for (let now = everyMs; now <= 1000; now += everyMs) fetch = pace.fetched(batch(everyMs), now);

    expect(pace.restMs(fetch, fetch.at + 10)).toBe(30);
  });

  it('does not wait at 50 messages a second', () => {
    const pace = new FetchPace();
    const rests = Array.from({ length: 100 }, (_, n) => pace.restMs(pace.fetched(batch(1), n * 20), n * 20));

    expect(new Set(rests)).toEqual(new Set([0]));
  });

  it('stops waiting once few messages arrive', () => {
    const pace = new FetchPace();
    pace.fetched(batch(100), 1000);
    const later = pace.fetched(batch(1), 1300);

    expect(pace.restMs(later, 1301)).toBe(0);
  });

  it('does not wait after a fetch that took longer to process', () => {
    const pace = new FetchPace();
    const fetch = pace.fetched(batch(300), 1000);

    expect(pace.restMs(fetch, 1041)).toBe(0);
  });

  it('does not wait while Kafka has more records of one of the partitions', () => {
    const pace = new FetchPace();
    const fetch = pace.fetched(batch(100, true), 1000);
    pace.fetched(batch(100), 1001);

    expect(pace.restMs(fetch, 1002)).toBe(0);
  });

  it('never waits longer than 100 ms after a fetch', () => {
    const arrivals = fc.array(fc.tuple(fc.nat(50), fc.nat(20), fc.boolean()), { minLength: 1 });

    fc.assert(
      fc.property(arrivals, fc.nat(100), (batches, processingMs) => {
        const pace = new FetchPace();
        let now = 0;
        for (const [length, afterMs, hasMore] of batches) {
          now += afterMs;
          const fetch = pace.fetched(batch(length, hasMore), now);
          const restMs = pace.restMs(fetch, now + processingMs);
          expect(restMs).toBeGreaterThanOrEqual(0);
          expect(restMs).toBeLessThanOrEqual(Math.max(0, 100 - processingMs));
        }
      }),
    );
  });
});
