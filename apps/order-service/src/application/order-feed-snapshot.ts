/** More in an id would not fit into a header that everybody takes; see {@link FeedSnapshot.toString}. */
const MOST_OPEN = 12;
/** Of each of the two snapshots in the id of a walk: all of it has to fit into 255 characters. */
export const MOST_OPEN_IN_WALK = 6;
const CUT_TO: ReadonlySet<number> = new Set([MOST_OPEN, MOST_OPEN_IN_WALK]);

/**
 * Which transactions' steps a reader has got: those before `end`, but for the `open` ones, which had not ended when it looked.
 * Steps become visible when their transaction commits, in no order of any number that they carry, so a reader that remembered
 * only the highest would lose those that commit late.
 *
 * `end` lies right behind a transaction that has committed steps, never behind one of which nothing is on disk: a server that
 * crashes hands out such numbers again. A value: every step gives a new one. Numbers are exact up to 2^53.
 */
export class FeedSnapshot {
  /** `open` is in order, and below `end`. */
  constructor(
    readonly end: number,
    readonly open: readonly number[],
  ) {}

  /** A reader that has got nothing yet. */
  static readonly NOTHING = new FeedSnapshot(0, []);

  /** Undefined for what {@link toString} has not made. */
  static parse(text: string): FeedSnapshot | undefined {
    if (!/^[\da-z]{1,11}(\.[\da-z]{1,11})*$/.test(text)) return undefined;
    const [end = 0, ...open] = text.split('.').map((digits) => Number.parseInt(digits, 36));
    const isOne = open.every((xid, index) => xid < (open[index + 1] ?? end)) && Number.isSafeInteger(end);
    return isOne ? new FeedSnapshot(end, open) : undefined;
  }

  /**
   * The transaction that it ends with, which has committed steps. Undefined of one that has seen nothing, and of one that may have
   * been cut when it was written as text: that ends anywhere.
   */
  get last(): number | undefined {
    const isCut = CUT_TO.has(this.open.length);
    return this.end === 0 || isCut ? undefined : this.end - 1;
  }

  sees(xid: number): boolean {
    return xid < this.end && !this.open.includes(xid);
  }

  /**
   * After a reading of what this one does not see. `openNow`: the transactions in progress when it was read. `last`: the latest
   * transaction that had steps, if any had. Unless it `isWhole`, only what is not after `last` was read.
   */
  after(openNow: readonly number[], last: number | undefined, isWhole: boolean): FeedSnapshot {
    if (last === undefined)
      return new FeedSnapshot(
        this.end,
        this.open.filter((xid) => openNow.includes(xid)),
      );
    const end = Math.max(this.end, last + 1);
    const unread = isWhole ? [] : this.open.filter((xid) => xid > last);
    const open = new Set([...openNow.filter((xid) => xid < end), ...unread]);
    return new FeedSnapshot(
      end,
      [...open].toSorted((a, b) => a - b),
    );
  }

  /** What a reader has got of this one that has got nothing after `last`, which is a transaction that has committed steps. */
  upTo(last: number): FeedSnapshot {
    return new FeedSnapshot(
      last + 1,
      this.open.filter((xid) => xid <= last),
    );
  }

  /**
   * Of bounded length: where very many transactions were open it ends at one of the first, and so sees less than it could. Who
   * resumes from there gets some steps once more.
   */
  toString(mostOpen = MOST_OPEN): string {
    const end = this.open[mostOpen] ?? this.end;
    return [end, ...this.open.slice(0, mostOpen)].map((xid) => xid.toString(36)).join('.');
  }
}
