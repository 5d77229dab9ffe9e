import fc from 'fast-check';
import { Cursor } from './cursor.js';
import { GapWatch } from './gap-watch.js';

const span = (from: number, to = from + 1) => ({ from, to });
const cursor = new Cursor(9, [span(3, 5), span(7)]);

/** More gaps than every read covers. */
const many = Cursor.START.after(Array.from({ length: 150 }, (_, n) => 2 * n + 2));

describe('the age of gaps', () => {
  it('is unknown while there are none', () => {
    const watch = new GapWatch();

    watch.observe(Cursor.START, ['3/1'], 100);

    expect([watch.since, watch.writersSince(1000)]).toEqual([undefined, []]);
  });

  it('is that of the oldest one, until that is settled', () => {
    const watch = new GapWatch();
    watch.observe(cursor, ['3/1'], 100);
    watch.observe(cursor.after([11]), ['3/1', '4/1'], 200);
    expect(watch.since).toBe(100);

    watch.observe(cursor.after([11]), ['4/1'], 300);
    watch.settled(cursor.after([11]));

    expect(watch.since).toBe(200);
  });

  it('decides which transactions are to blame', () => {
    const watch = new GapWatch();
    watch.observe(cursor, ['3/1', '4/1'], 100);
    watch.observe(cursor.after([11]), ['3/1', '4/1', '5/1'], 200);

    expect([99, 100, 200].map((time) => watch.writersSince(time).toSorted())).toEqual([
      [],
      ['3/1', '4/1'],
      ['3/1', '4/1', '5/1'],
    ]);
  });

  it('is kept when gaps of different ages come to wait for the same transactions', () => {
    const watch = new GapWatch();
    const later = cursor.after([11]);
    watch.observe(cursor, ['3/1', '4/1'], 100);
    watch.observe(later, ['3/1'], 200);
    watch.observe(later, ['3/1'], 300);

    expect(watch.since).toBe(100);
  });
});

describe('a watch', () => {
  it('asks for the writers again soon only while reads cover many gaps', () => {
    const watch = new GapWatch();
    expect([watch.isBusy(cursor), watch.isBusy(many)]).toEqual([false, true]);
    watch.observe(many, ['3/1']);
    watch.settled(many);
    expect(watch.isBusy(many)).toBe(true);

    watch.observe(many, ['3/1']);

    expect(watch.isBusy(many)).toBe(false);
  });

  /** Transactions that draw positions and then commit or roll back, each at some step. A read happens after every step. */
  const histories = fc.array(
    fc.record({
      begins: fc.nat(9),
      lasts: fc.nat(9),
      draws: fc.integer({ min: 1, max: 3 }),
      commits: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  );

  it('P2 P6 gives up exactly the positions of transactions that were rolled back, whatever the order of ends', () => {
    fc.assert(
      fc.property(histories, (transactions) => {
        const watch = new GapWatch();
        let [at, next] = [Cursor.START, 1];
        const drawn = transactions.map((): number[] => []);
        const published = new Set<number>();

        for (let step = 0; step <= 20; step++) {
          for (const [n, { begins, draws }] of transactions.entries())
            if (begins === step) drawn[n] = Array.from({ length: draws }, () => next++);
          const open = [...transactions.keys()].filter((n) => isOpen(transactions[n], step));
          watch.observe(
            at,
            open.map((n) => `${n}/1`),
          );
          // The read sees what has committed by now: new positions and those in gaps.
          const visible = [...transactions.keys()]
            .filter((n) => transactions[n]?.commits && hasEnded(transactions[n], step))
            .flatMap((n) => drawn[n] ?? []);
          const { gaps } = at;
          const found = visible.filter((p) => p > at.position || gaps.some(({ from, to }) => from <= p && p < to));
          for (const position of found) published.add(position);
          at = watch.settled(at.after(found.toSorted((a, b) => a - b)));
        }

        const committed = transactions.flatMap(({ commits }, n) => (commits ? (drawn[n] ?? []) : []));
        expect([...published].toSorted((a, b) => a - b)).toEqual(committed.toSorted((a, b) => a - b));
        expect(at.gaps).toEqual([]);
      }),
    );
  });
});

interface Transaction {
  readonly begins: number;
  readonly lasts: number;
}

function hasEnded(transaction: Transaction | undefined, step: number): boolean {
  return transaction !== undefined && step > transaction.begins + transaction.lasts;
}

function isOpen(transaction: Transaction | undefined, step: number): boolean {
  return transaction !== undefined && transaction.begins <= step && !hasEnded(transaction, step);
}
