import fc from 'fast-check';
import { coarse, Cursor, multirange, spansOf } from './cursor.js';
import { GapWatch } from './gap-watch.js';

const span = (from: number, to = from + 1) => ({ from, to });

describe('a cursor', () => {
  it('P2 remembers the positions that it skipped', () => {
    const cursor = Cursor.START.after([1, 2, 5, 9]);

    expect(cursor).toEqual(new Cursor(9, [span(3, 5), span(6, 9)]));
  });

  it('P2 forgets only the gaps that were filled', () => {
    const cursor = new Cursor(9, [span(3, 5), span(6, 9)]).after([4, 7, 11]);

    expect(cursor).toEqual(new Cursor(11, [span(3), span(6), span(8), span(10)]));
  });

  it('P2 waits for exactly the positions below it that were never read, whatever order they appear in', () => {
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

  it('returns the parts of spans that are gaps, and the gaps beyond a position', () => {
    const cursor = new Cursor(20, [span(3, 5), span(7), span(9, 12)]);

    expect(cursor.gapsWithin([span(1, 4), span(6, 11), span(15)])).toEqual([span(3), span(7), span(9, 11)]);
    expect([2, 3, 6, 8, 9].map((position) => cursor.gapsBeyond(position).length)).toEqual([3, 2, 2, 1, 0]);
  });

  it('is formatted as PostgreSQL formats it', () => {
    const { gaps } = new Cursor(9, [span(3, 5), span(6, 9)]);

    expect(multirange(gaps)).toBe('{[3,5),[6,9)}');
    expect(spansOf(multirange(gaps))).toEqual(gaps);
    expect(spansOf('{}')).toEqual([]);
  });
});

describe('many gaps', () => {
  const spans = [span(1), span(5), span(7), span(20, 30), span(33)];

  it.each([
    [5, spans],
    [4, [span(1), span(5, 8), span(20, 30), span(33)]],
    [2, [span(1, 8), span(20, 34)]],
    [1, [span(1, 34)]],
  ])('are merged to %i where they are closest', (max, expected) => {
    expect(coarse(spans, max)).toEqual(expected);
  });

  it('P2 are all covered by the merged ones', () => {
    const many = fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { minLength: 1 });
    fc.assert(
      fc.property(many, fc.integer({ min: 1, max: 20 }), (positions, max) => {
        const { gaps } = Cursor.START.after([...positions.toSorted((a, b) => a - b), 400]);

        const few = coarse(gaps, max);

        expect(few.length).toBeLessThanOrEqual(Math.max(max, 1));
        expect(new Cursor(400, gaps).without(few).gaps).toEqual([]);
      }),
    );
  });

  const others = Cursor.START.after(Array.from({ length: 200 }, (_, n) => 2 * n + 2));

  it('are read until their writers were the same twice, and again when one of the writers has ended', () => {
    const watch = new GapWatch();
    const settle = (writers: string[]) => {
      watch.observe(others, writers);
      const { gaps, unlessEnded } = watch.look(others);
      watch.settled(others);
      return [gaps.length, unlessEnded];
    };

    expect(settle(['3/1', '4/1'])).toEqual([200, []]);
    expect(settle(['3/1', '4/1', '5/1'])).toEqual([0, ['3/1', '4/1']]);
    expect(settle(['3/1', '5/1'])).toEqual([200, []]);
    expect(settle(['3/1'])).toEqual([0, ['3/1']]);
    expect(settle(['-1/742'])).toEqual([200, []]);
  });

  it('P3 are read until a read has covered them after one of their writers ended', () => {
    const watch = new GapWatch();
    for (const writers of [['3/1', '4/1'], ['3/1'], ['3/1'], ['3/1']]) watch.observe(others, writers);

    expect(watch.look(others)).toEqual({ gaps: others.gaps, unlessEnded: [] });
  });

  it('P2 are read if they were seen after the writers were observed', () => {
    const watch = new GapWatch();
    for (let n = 0; n < 2; n++) {
      watch.observe(others, ['3/1']);
      watch.settled(others);
    }

    expect(watch.look(others.after([405]))).toEqual({ gaps: [span(401, 405)], unlessEnded: ['3/1'] });
  });
});

describe('a gap', () => {
  const cursor = new Cursor(9, [span(3, 5), span(7)]);

  it('is given up when no transaction can fill it any more', () => {
    const watch = new GapWatch();
    watch.observe(cursor, []);

    expect(watch.settled(cursor)).toEqual(new Cursor(9, []));
  });

  it('P2 is kept while a transaction is open that may have drawn its position', () => {
    const watch = new GapWatch();
    for (const writers of [['3/1', '4/7'], ['3/1'], ['3/1', '5/1']]) {
      watch.observe(cursor, writers);
      expect(watch.settled(cursor)).toEqual(cursor);
    }

    watch.observe(cursor, ['5/1']);

    expect(watch.settled(cursor)).toEqual(new Cursor(9, []));
  });

  it('P2 is kept if it was seen after the transactions were observed', () => {
    const watch = new GapWatch();
    watch.observe(cursor, []);

    expect(watch.settled(cursor.after([12]))).toEqual(new Cursor(12, [span(10, 12)]));
  });

  it('P2 is kept while a transaction is prepared, although its lock has passed to an owner with another name', () => {
    const watch = new GapWatch();
    watch.observe(cursor, ['3/1']);
    watch.settled(cursor);

    watch.observe(cursor, ['-1/742']);

    expect(watch.settled(cursor)).toEqual(cursor);
  });

  it('P6 does not wait for transactions that started after it was seen', () => {
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
