/** The state of the outbox's log as one poll found it, in the statement that reads or writes the lease row. */
export interface LogState {
  /**
   * Where the log is: identifies the server process, the database and the file of the sequence. It is not a position in the log. It
   * changes when a pooler moves the connection to another server or to a copy of the database, and when the sequence is restarted.
   */
  readonly location: string;
  /**
   * Which log it is: the oids of lease table and outbox, and the files of sequence and outbox. The lease row records it with the
   * progress. A physical copy of the database has the same origin at another location.
   */
  readonly origin: string;
  /** The last position that the sequence handed out; undefined without the grant to read it. */
  readonly lastPosition: number | undefined;
  /** Whether there are rows at positions that the sequence has not handed out yet, which means that it was set back. */
  readonly rowsBeyond: boolean;
}

/** The published part of the log according to the lease row. */
export interface Recorded {
  readonly position: number;
  /** How far messages are published beyond it while an aggregate type is blocked; otherwise the same. */
  readonly reach: number;
  /** The log that the position belongs to; null if the previous version of the relay recorded it. */
  readonly origin: string | null;
}

/** What a leader relies on: the position in the lease row and the log in which it was recorded. */
export interface Known {
  readonly position: number;
  /** How far messages are published beyond it while an aggregate type is blocked; otherwise the same. */
  readonly reach: number;
  readonly log: LogState;
}

export interface WentBack {
  readonly reason: string;
  /** Whether the log itself went back, rather than the whole database or the lease row. Positions will then be reused. */
  readonly ofLog: boolean;
  /** Whether the recorded position is meaningless in this log, so that everything in the table must be published again. */
  readonly fromStart: boolean;
  /** Whether the table may hold older unpublished messages. They were committed first, so they are published first. */
  readonly keepsOld: boolean;
}

/** Whether a term continues or a new one must start from the lease row, and whether positions went back. */
export interface Verdict {
  readonly continues: boolean;
  readonly wentBack?: WentBack;
}

/**
 * Compares what a leader knows with what a poll found. `cursor` is how far the leader has published. `known` and `cursor` are
 * undefined for a leader that has just taken over, and then only the row is checked.
 *
 * A server that was restarted without losing anything is a new location with the row as it was recorded. A new term starts, but
 * nothing went back.
 */
export function judge(
  known: Known | undefined,
  cursor: number | undefined,
  recorded: Recorded,
  { location, origin, lastPosition, rowsBeyond }: LogState,
  /** Whether this process has already reported rows beyond the sequence, on another connection. */
  seenBeyond = false,
): Verdict {
  const beyondSequence = (position: number) => position > (lastPosition ?? Infinity);
  const ofLog = (reason: string, fromStart: boolean, keepsOld = rowsBeyond): Verdict => ({
    continues: false,
    wentBack: { reason, ofLog: true, fromStart, keepsOld },
  });
  const change = changeOf(recorded.origin, origin);
  if (change === 'emptied')
    return ofLog('the outbox was truncated or recreated, so its positions start over', true, false);
  if (change === 'restarted')
    return ofLog('the sequence of the outbox was restarted, so its positions start over', true, true);
  if (beyondSequence(recorded.reach))
    return ofLog(`position ${recorded.reach} is recorded as published, but the sequence is at ${lastPosition}`, true);

  const moved = known !== undefined && known.log.location !== location;
  if (known && (recorded.position < known.position || (moved && recorded.reach < known.reach))) {
    const reason = moved
      ? `the database is an older copy, which records position ${recorded.reach} as published instead of ${known.reach}`
      : `the recorded position was set back from ${known.position} to ${recorded.position}`;
    return { continues: false, wentBack: { reason, ofLog: rowsBeyond, fromStart: false, keepsOld: rowsBeyond } };
  }
  if (cursor !== undefined && beyondSequence(cursor))
    return ofLog(`position ${cursor} is published, but the sequence is at ${lastPosition}`, false);
  if (rowsBeyond && !seenBeyond && (known === undefined || moved || !known.log.rowsBeyond))
    return ofLog(`the sequence was set back to ${lastPosition}, but the outbox has messages beyond it`, false);
  return { continues: known !== undefined && !moved && recorded.position === known.position };
}

/**
 * Determines what happened to the log since the row was recorded. TRUNCATE … RESTART IDENTITY and ALTER SEQUENCE … RESTART give
 * the sequence a new file; setval, a plain TRUNCATE and VACUUM FULL do not. A restored dump has its own lease table, whose
 * position belongs to its outbox.
 */
function changeOf(origin: string | null, log: string): 'none' | 'emptied' | 'restarted' {
  const [lease, outbox, sequenceFile, outboxFile] = (origin ?? '').split('/');
  const [leaseNow, outboxNow, sequenceFileNow, outboxFileNow] = log.split('/');
  if (lease !== leaseNow) return 'none';
  if (outbox !== outboxNow) return 'emptied';
  if (sequenceFile === sequenceFileNow) return 'none';
  return outboxFile === outboxFileNow ? 'restarted' : 'emptied';
}
