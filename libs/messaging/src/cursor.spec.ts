import fc from 'fast-check';
import { Cursor, multirange, spansOf } from './cursor.js';
import { GapWatch } from './gap-watch.js';

const span = (from: number, to = from + 1) => ({ from, to });

describe('a cursor', () => {
  it('P2 remembers the positions that it passed without seeing them', () => {
    const cursor = Cursor.START.after([1, 2, 5, 9]);

    expect(cursor).toEqual(new Cursor(9, [span(3, 5), span(6, 9)]));
  });

  it('P2 forgets a gap that was filled, and only that', () => {
    const cursor = new Cursor(9, [span(3, 5), span(6, 9)]).after([4, 7, 11]);

    expect(cursor).toEqual(new Cursor(11, [span(3), span(6), span(8), span(10)]));
  });

  it('P2 waits for exactly the positions below it that were never read, in whatever order they appear', () => {
    const readings = fc
      .uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1 })
      .chain((positions) =>
        fc.tuple(
          fc.constant(positions),
          fc.array(fc.nat({ max: 5 }), { minLength: positions.length, maxLength: positions.length }),
        ),
      );
    fc.assert(
      fc.property(readings, ([positions, rounds]) => {
        let cursor = Cursor.START;
        for (let round = 0; round <= 5; round++) {
          const seen = positions.filter((_, index) => rounds[index] === round).toSorted((a, b) => a - b);
          cursor = cursor.after(seen);
        }

        const missing = Array.from({ length: cursor.position }, (_, index) => index + 1).filter(
          (position) => !positions.includes(position),
        );
        expect(cursor.gaps.flatMap(({ from, to }) => range(from, to))).toEqual(missing);
        expect(cursor.position).toBe(Math.max(...positions));
      }),
    );
  });

  it('is written as PostgreSQL writes it', () => {
    const { gaps } = new Cursor(9, [span(3, 5), span(6, 9)]);

    expect(multirange(gaps)).toBe('{[3,5),[6,9)}');
    expect(spansOf(multirange(gaps))).toEqual(gaps);
    expect(spansOf('{}')).toEqual([]);
  });
});

describe('a gap', () => {
  const cursor = new Cursor(9, [span(3, 5), span(7)]);

  it('is given up when no transaction can fill it any more', () => {
    const watch = new GapWatch();
    watch.observe(cursor, []);

    expect(watch.settled(cursor)).toEqual(new Cursor(9, []));
  });

  it('P2 is kept while a transaction is open that may have drawn it', () => {
    const watch = new GapWatch();
    for (const writers of [['3/1', '4/7'], ['3/1'], ['3/1', '5/1']]) {
      watch.observe(cursor, writers);
      expect(watch.settled(cursor)).toEqual(cursor);
    }

    watch.observe(cursor, ['5/1']);

    expect(watch.settled(cursor)).toEqual(new Cursor(9, []));
  });

  it('P2 is kept when it was seen after the transactions were', () => {
    const watch = new GapWatch();
    watch.observe(cursor, []);

    expect(watch.settled(cursor.after([12]))).toEqual(new Cursor(12, [span(10, 12)]));
  });

  it('P2 is kept while a transaction is prepared: its lock has passed to an owner of another name', () => {
    const watch = new GapWatch();
    watch.observe(cursor, ['3/1']);
    watch.settled(cursor);

    watch.observe(cursor, ['-1/742']);

    expect(watch.settled(cursor)).toEqual(cursor);
  });

  it('P6 waits for no transaction that began after it was seen', () => {
    const watch = new GapWatch();
    watch.observe(cursor, ['3/1']);
    watch.settled(cursor);
    const later = cursor.after([11]);
    watch.observe(later, ['4/1']);

    expect(watch.settled(later)).toEqual(new Cursor(11, [span(10)]));
  });
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
