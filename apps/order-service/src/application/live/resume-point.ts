/** Keeps an event id, with up to two snapshots in a walk, within 255 characters, which every server accepts in a header. */
const MAX_OPEN = 12;
export const MAX_OPEN_IN_WALK = 6;
const CUT_TO: ReadonlySet<number> = new Set([MAX_OPEN, MAX_OPEN_IN_WALK]);

/**
 * The transactions whose steps a reader has received: those before `end`, except the `open` ones, which had not ended when it read.
 * Steps become visible at commit, in no order of any number they carry, so a reader that remembered only the highest would lose those
 * that commit late.
 *
 * `end` directly follows a transaction with committed steps, never one of which nothing is on disk, because a server hands out such ids
 * again after a crash. Immutable. Ids are exact up to 2^53.
 */
export class FeedSnapshot {
  /** `open` must be sorted and below `end`. */
  constructor(
    readonly end: number,
    readonly open: readonly number[],
  ) {}

  static readonly NOTHING = new FeedSnapshot(0, []);

  /** Parses the result of {@link toString}; undefined if invalid. */
  static parse(text: string): FeedSnapshot | undefined {
    if (!/^[\da-z]{1,11}(\.[\da-z]{1,11})*$/.test(text)) return undefined;
    const [end = 0, ...open] = text.split('.').map((digits) => Number.parseInt(digits, 36));
    const isOne = open.every((xid, index) => xid < (open[index + 1] ?? end)) && Number.isSafeInteger(end);
    return isOne ? new FeedSnapshot(end, open) : undefined;
  }

  /** The last transaction, which has committed steps. Undefined if empty, or if {@link toString} may have truncated the snapshot. */
  get last(): number | undefined {
    const isCut = CUT_TO.has(this.open.length);
    return this.end === 0 || isCut ? undefined : this.end - 1;
  }

  sees(xid: number): boolean {
    return xid < this.end && !this.open.includes(xid);
  }

  /**
   * The snapshot after reading what this one does not see. `openNow` are the transactions in progress at that time, and `last` is the
   * latest one that had steps. Unless the reading `isWhole`, nothing after `last` was read.
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

  /** This snapshot without anything after `last`, which must be a transaction with committed steps. */
  upTo(last: number): FeedSnapshot {
    return new FeedSnapshot(
      last + 1,
      this.open.filter((xid) => xid <= last),
    );
  }

  /** Bounds the length: with too many open transactions the text ends earlier, and a client that resumes gets some steps again. */
  toString(maxOpen = MAX_OPEN): string {
    const end = this.open[maxOpen] ?? this.end;
    return [end, ...this.open.slice(0, maxOpen)].map((xid) => xid.toString(36)).join('.');
  }
}
