import { jest } from '@jest/globals';
import { Cursor } from '../log/cursor.js';
import { GapWatch } from '../log/gap-watch.js';
import { OldGaps } from './old-gaps.js';
import { type RelayStore } from './relay-store.js';

const gaps = [
  { from: 3, to: 5 },
  { from: 7, to: 8 },
];
const cursor = new Cursor(9, gaps);

let asked: (readonly string[])[];
let watch: GapWatch;
let old: OldGaps;

/** Answers for the statement that describes the oldest of these transactions. */
const store = {
  oldestOf: (writers: readonly string[]) => {
    asked.push(writers);
    return Promise.resolve({ pid: 7, application: 'import', seconds: 60 });
  },
} as unknown as RelayStore;

/** What the relay does at each of its looks at the gaps: observe the writers, read, and update the report. */
async function look(at: Cursor, writers: readonly string[]): Promise<void> {
  watch.observe(at, writers);
  const settled = watch.settled(at);
  await old.update(settled, watch, store);
}

beforeEach(() => {
  jest.useFakeTimers();
  asked = [];
  watch = new GapWatch();
  old = new OldGaps();
});

afterEach(() => {
  jest.useRealTimers();
});

describe('P9 the report of old gaps', () => {
  it('is missing while there are none, or only young ones', async () => {
    await look(new Cursor(9, []), ['3/1']);
    expect(old.report).toBeUndefined();

    await look(cursor, ['3/1']);
    jest.advanceTimersByTime(1999);
    await look(cursor, ['3/1']);

    expect([old.report, asked]).toEqual([undefined, []]);
  });

  it('counts spans and positions, and names the transaction to look at', async () => {
    await look(cursor, ['3/1', '4/1']);
    jest.advanceTimersByTime(2000);
    await look(cursor, ['3/1', '4/1']);

    const writer = { pid: 7, application: 'import', seconds: 60 };
    expect(old.report).toEqual({ spans: 2, positions: 3, forMs: 2000, writer });
    expect(asked).toEqual([['3/1', '4/1']]);
  });

  it('keeps counting the time between two looks', async () => {
    await look(cursor, ['3/1']);
    jest.advanceTimersByTime(2000);
    await look(cursor, ['3/1']);

    jest.advanceTimersByTime(500);

    expect(old.report).toMatchObject({ forMs: 2500 });
  });

  it('is updated at most once a second, because it costs a statement', async () => {
    await look(cursor, ['3/1']);
    jest.advanceTimersByTime(2000);
    for (let n = 0; n < 10; n++) {
      await look(cursor, ['3/1']);
      jest.advanceTimersByTime(250);
    }

    expect(asked).toHaveLength(3);
  });

  it('names only transactions that have kept a gap open for seconds', async () => {
    await look(cursor, ['3/1']);
    jest.advanceTimersByTime(1500);
    await look(cursor.after([12]), ['3/1', '4/1']);
    jest.advanceTimersByTime(500);
    await look(cursor.after([12]), ['3/1', '4/1']);

    expect(asked).toEqual([['3/1']]);
  });

  it('ends when the last transaction that could fill a gap has ended', async () => {
    await look(cursor, ['3/1']);
    jest.advanceTimersByTime(2000);
    await look(cursor, ['3/1']);
    expect(old.report).toBeDefined();

    await look(cursor, []);
    await look(new Cursor(9, []), []);

    expect(old.report).toBeUndefined();
  });
});
