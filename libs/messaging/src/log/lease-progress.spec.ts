import fc from 'fast-check';
import { Cursor } from './cursor.js';
import { beforeWaiting, cursorOf, recorded } from './lease-progress.js';

const waiting = (entries: Record<string, number>) =>
  new Map(Object.entries(entries).map(([type, from]) => [type, { from, messages: 1 }]));

/** Reads the progress as the next poll does. */
function read({ position, gaps, ahead }: ReturnType<typeof recorded>): Cursor {
  return cursorOf(position, gaps, ahead === null ? null : (JSON.parse(ahead) as Parameters<typeof cursorOf>[2]));
}

describe('recorded progress', () => {
  it('is the cursor itself while no type is blocked', () => {
    expect(recorded(new Cursor(9, [{ from: 3, to: 5 }]))).toEqual({ position: 9, gaps: '{[3,5)}', ahead: null });
  });

  it('P2 stays before the first waiting message for a relay that knows only position and gaps', () => {
    const cursor = new Cursor(
      20,
      [
        { from: 3, to: 5 },
        { from: 12, to: 13 },
      ],
      waiting({ a: 15, b: 8 }),
    );

    expect(recorded(cursor)).toMatchObject({ position: 7, gaps: '{[3,5)}' });
  });

  it('P2 is read back unchanged for any blocked types and gaps', () => {
    const spans = fc
      .uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 6 })
      .map((starts) => starts.toSorted((a, b) => a - b).map((start) => ({ from: 3 * start, to: 3 * start + 2 })));
    const types = fc.dictionary(fc.string({ minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 101 }));
    fc.assert(
      fc.property(spans, types, (gaps, froms) => {
        const cursor = new Cursor(100, gaps, waiting(froms));

        expect(read(recorded(cursor))).toEqual(cursor);
      }),
    );
  });

  it('P2 ignores what is ahead once another relay has moved the position', () => {
    const { gaps, ahead } = recorded(new Cursor(20, [], waiting({ a: 15 })));

    expect(read({ position: 16, gaps, ahead })).toEqual(new Cursor(16, []));
  });
});

it('P3 is exact while a type is blocked, because a merged gap would cover waiting messages', () => {
  const gaps = Array.from({ length: 1500 }, (_, n) => ({ from: 3 * n + 1, to: 3 * n + 2 }));
  const cursor = new Cursor(5000, gaps, waiting({ a: 4800 }));

  expect(read(recorded(cursor))).toEqual(cursor);
  expect(cursorOf(5000, recorded(new Cursor(5000, gaps)).gaps, null).gaps.length).toBeLessThanOrEqual(1000);
});

it('P2 P3 waiting messages are read again from before the first one when positions went back', () => {
  const gaps = [
    { from: 3, to: 5 },
    { from: 12, to: 13 },
  ];

  expect(beforeWaiting(new Cursor(20, gaps, waiting({ a: 8 })))).toEqual(new Cursor(7, [{ from: 3, to: 5 }]));
  expect(beforeWaiting(new Cursor(20, gaps))).toEqual(new Cursor(20, gaps));
});
