import fc from 'fast-check';
import { accept, pageOf, reject, SystemClock } from './index.js';

describe('a decision', () => {
  it('that accepts has the state after all events in order, and after each of them', () => {
    const append = (state: string, event: string): string => state + event;

    expect(accept(append, '', 'a', 'b')).toEqual({
      accepted: true,
      state: 'ab',
      steps: [
        { event: 'a', state: 'a' },
        { event: 'b', state: 'ab' },
      ],
    });
  });

  it('that rejects has the facts', () => {
    expect(reject({ code: 'no' })).toEqual({ accepted: false, rejection: { code: 'no' } });
  });
});

it('paging through a list returns every row once', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat()), fc.integer({ min: 1, max: 10 }), (numbers, limit) => {
      const rows = numbers.toSorted((a, b) => a - b);
      const seen: number[] = [];
      for (let after = -1; after !== Infinity;) {
        const read = rows.filter((row) => row > after).slice(0, limit + 1);
        const page = pageOf(read, limit, String);
        seen.push(...page.items);
        after = page.nextCursor === null ? Infinity : Number(page.nextCursor);
      }
      expect(seen).toEqual(rows);
    }),
  );
});

it('the system clock returns a time', () => {
  expect(new SystemClock().now()).toBeInstanceOf(Date);
});
