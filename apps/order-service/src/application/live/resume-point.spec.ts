import fc from 'fast-check';
import { Snapshot } from './resume-point.js';

/** A server with its open transactions, and the committed ones that have steps. */
class Server {
  next = 100;
  readonly open = new Set<number>();
  readonly committed = new Set<number>();

  do(what: Happening): void {
    const [oldest] = this.open;
    const youngest = [...this.open].at(-1);
    if (what === 'begin') this.open.add(this.next++);
    else if (what === 'crash') this.crash();
    else if (what === 'commit oldest' && oldest !== undefined) this.end(oldest, true);
    else if (what === 'commit youngest' && youngest !== undefined) this.end(youngest, true);
    else if (what === 'roll back' && oldest !== undefined) this.end(oldest, false);
  }

  /** Rolls back open transactions and reuses the ids of which nothing is on disk. */
  private crash(): void {
    this.open.clear();
    this.next = Math.max(99, ...this.committed) + 1;
  }

  private end(xid: number, commits: boolean): void {
    this.open.delete(xid);
    if (commits) this.committed.add(xid);
  }

  /** Reads at most `limit` transactions, as the feed does. */
  read(seen: Snapshot, limit: number): { xids: number[]; seen: Snapshot; isWhole: boolean } {
    const unseen = [...this.committed].filter((xid) => !seen.sees(xid)).toSorted((a, b) => a - b);
    const xids = unseen.slice(0, limit);
    const isWhole = xids.length < limit;
    return { xids, seen: seen.after([...this.open], xids.at(-1), isWhole), isWhole };
  }
}

type Happening = 'begin' | 'commit oldest' | 'commit youngest' | 'roll back' | 'crash';

const happening = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Happening>('begin') },
  { weight: 4, arbitrary: fc.constantFrom<Happening[]>('commit oldest', 'commit youngest') },
  { weight: 1, arbitrary: fc.constantFrom<Happening[]>('roll back', 'crash') },
);
const happenings = fc.array(happening, { maxLength: 60, size: 'max' });
/** Happenings, each round followed by a reading of at most `limit` transactions. */
const rounds = fc.array(
  fc.record({ happenings: fc.array(happening, { maxLength: 8, size: 'max' }), limit: fc.integer({ min: 1, max: 4 }) }),
  { maxLength: 20, size: 'max' },
);

describe('P2 a reader', () => {
  it('receives every committed transaction exactly once, however they end and however little it reads at a time', () => {
    fc.assert(
      fc.property(rounds, (all) => {
        const server = new Server();
        const got: number[] = [];
        let seen = Snapshot.NOTHING;
        for (const { happenings, limit } of all) {
          for (const what of happenings) server.do(what);
          const reading = server.read(seen, limit);
          got.push(...reading.xids);
          ({ seen } = reading);
        }
        got.push(...server.read(seen, Infinity).xids);

        expect(got.toSorted((a, b) => a - b)).toEqual([...server.committed].toSorted((a, b) => a - b));
      }),
    );
  });

  it('that resumes from the text of a snapshot misses nothing', () => {
    fc.assert(
      fc.property(happenings, happenings, (before, after) => {
        const server = new Server();
        for (const what of before) server.do(what);
        // More open transactions than an id can hold.
        for (let n = 0; n < 20; n++) server.do('begin');
        server.do('commit youngest');
        const got = new Set<number>();
        const first = server.read(Snapshot.NOTHING, Infinity);
        first.xids.forEach((xid) => got.add(xid));
        for (const what of after) server.do(what);

        const resumed = Snapshot.parse(first.seen.toString());
        server.read(resumed ?? Snapshot.NOTHING, Infinity).xids.forEach((xid) => got.add(xid));

        expect(resumed).toBeDefined();
        expect([...server.committed].filter((xid) => !got.has(xid))).toEqual([]);
      }),
    );
  });
});

describe("a snapshot's text", () => {
  it('is short, however many transactions are open and however large their ids', () => {
    const end = Number.MAX_SAFE_INTEGER;
    const snapshot = new Snapshot(
      end,
      Array.from({ length: 500 }, (_, index) => end - 1000 + index),
    );

    // An event id, with the position before it, must fit into 255 characters.
    expect(snapshot.toString().length).toBeLessThan(200);
  });

  it('is lossless with a few open transactions', () => {
    const snapshot = new Snapshot(1000, [40, 998]);

    expect(snapshot.toString()).toBe('rs.14.rq');
    expect(Snapshot.parse('rs.14.rq')).toEqual(snapshot);
  });

  it.each(['', '.', '1.', '.1', '1.1', '3.2.1', '2.3', 'A', '-1', '1e9!', 'zzzzzzzzzzzz', 'zzzzzzzzzzz', '1 '])(
    '%j is invalid',
    (text) => {
      expect(Snapshot.parse(text)).toBeUndefined();
    },
  );
});
