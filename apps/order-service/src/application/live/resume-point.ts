export type WatchedOrders = { readonly orderId: string } | { readonly customerId: string } | { readonly all: true };

/** A point after a step of an order. The next step is of the same order or of a later one. */
export interface ScanPosition {
  readonly orderId: string;
  readonly position: number;
}

/**
 * A catch-up scan order by order instead of in commit order. Steps up to the point have been sent as of `upTo`, and those after it as of
 * where the subscriber was before.
 */
export interface Scan extends ScanPosition {
  readonly over: 'order' | 'customer';
  readonly upTo: Snapshot;
}

/** How far a subscriber has come: it has received what `seen` sees, and is in the middle of `scan` if there is one. */
export interface ResumePoint {
  readonly seen: Snapshot;
  readonly scan?: Scan;
  /** The position of the step after which the subscriber resumes, if it resumes after one. */
  readonly position?: number;
}

const BEGINNING: ScanPosition = { orderId: '00000000-0000-0000-0000-000000000000', position: 0 };

export function scanFrom(over: Scan['over'], upTo: Snapshot): Scan {
  return { over, upTo, ...BEGINNING };
}

/** Whether the scan covers the watched orders, so that it can be continued. */
export function isScanOf(watched: WatchedOrders, { over, orderId }: Scan): boolean {
  return over === 'customer' ? 'customerId' in watched : 'orderId' in watched && watched.orderId === orderId;
}

/** Keeps an event id, with up to two snapshots in a scan, within 255 characters, which every server accepts in a header. */
const MAX_OPEN = 12;
export const MAX_OPEN_IN_SCAN = 6;
const CUT_TO: ReadonlySet<number> = new Set([MAX_OPEN, MAX_OPEN_IN_SCAN]);

/**
 * The transactions whose steps a reader has received: those before `end`, except the `open` ones, which had not ended when it read.
 * Steps become visible at commit, in no order of any number they carry, so a reader that remembered only the highest would lose those
 * that commit late.
 *
 * `end` directly follows a transaction with committed steps, never one of which nothing is on disk, because a server hands out such ids
 * again after a crash. Immutable. Ids are exact up to 2^53.
 */
export class Snapshot {
  /** `open` must be sorted and below `end`. */
  constructor(
    readonly end: number,
    readonly open: readonly number[],
  ) {}

  static readonly NOTHING = new Snapshot(0, []);

  /** Parses the result of {@link toString}; undefined if invalid. */
  static parse(text: string): Snapshot | undefined {
    if (!/^[\da-z]{1,11}(\.[\da-z]{1,11})*$/.test(text)) return undefined;
    const [end = 0, ...open] = text.split('.').map((digits) => Number.parseInt(digits, 36));
    const isOne = open.every((xid, index) => xid < (open[index + 1] ?? end)) && Number.isSafeInteger(end);
    return isOne ? new Snapshot(end, open) : undefined;
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
  after(openNow: readonly number[], last: number | undefined, isWhole: boolean): Snapshot {
    if (last === undefined)
      return new Snapshot(
        this.end,
        this.open.filter((xid) => openNow.includes(xid)),
      );
    const end = Math.max(this.end, last + 1);
    const unread = isWhole ? [] : this.open.filter((xid) => xid > last);
    const open = new Set([...openNow.filter((xid) => xid < end), ...unread]);
    return new Snapshot(
      end,
      [...open].toSorted((a, b) => a - b),
    );
  }

  /** This snapshot without anything after `last`, which must be a transaction with committed steps. */
  upTo(last: number): Snapshot {
    return new Snapshot(
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
