/** The outbox's log as one poll found it, in the statement that reads or writes the lease row. */
export interface LogState {
  /**
   * The server process, the database and the file of the sequence. It changes when a pooler moves the connection to another
   * server or to a copy of the database, and when the sequence is restarted.
   */
  readonly place: string;
  /** What the lease row records as `origin`: the oids of lease table and outbox, and the files of sequence and outbox. */
  readonly log: string;
  /** The last position that the sequence has handed out; undefined without the grant to read it. */
  readonly last: number | undefined;
  /** Rows are kept at positions that the sequence has yet to hand out: it was set back. */
  readonly rowsBeyond: boolean;
}

/** What the lease row says is published. */
export interface Recorded {
  readonly position: number;
  /** How far messages are published beyond it, while some aggregate type waits; else the same. */
  readonly reach: number;
  /** The log that the position belongs to; null when the previous version of the relay recorded it. */
  readonly origin: string | null;
}

/** What a leader relies on: the position in the lease row, and the log in which it was recorded. */
export interface Known {
  readonly position: number;
  /** How far messages are published beyond it, while some aggregate type waits; else the same. */
  readonly reach: number;
  readonly log: LogState;
}

export interface WentBack {
  readonly reason: string;
  /** The log went back, as opposed to the whole database or the lease row: positions will be used again. */
  readonly ofLog: boolean;
  /** The recorded position means nothing in this log: everything that the table keeps must be published again. */
  readonly fromStart: boolean;
  /** The table may keep unpublished messages from before: they were committed first, so they are published first. */
  readonly keepsOld: boolean;
}

/** Whether a term may go on, or a new one must begin with what the lease row says; and whether positions went back. */
export interface Verdict {
  readonly goesOn: boolean;
  readonly wentBack?: WentBack;
}

/**
 * Compares what a leader knows with what a poll found. `cursor` is how far the leader has published; both are undefined for one
 * that has just taken over: then only the row is judged.
 *
 * A server that was restarted without losing anything is a new place with the row as it was recorded: a new term, and nothing
 * went back.
 */
export function judge(
  known: Known | undefined,
  cursor: number | undefined,
  recorded: Recorded,
  { place, log, last, rowsBeyond }: LogState,
  /** That rows lie beyond the sequence was found, and reported, by this process on another connection. */
  seenBeyond = false,
): Verdict {
  const beyondSequence = (position: number) => position > (last ?? Infinity);
  const ofLog = (reason: string, fromStart: boolean, keepsOld = rowsBeyond): Verdict => ({
    goesOn: false,
    wentBack: { reason, ofLog: true, fromStart, keepsOld },
  });
  const change = changeOf(recorded.origin, log);
  if (change === 'emptied')
    return ofLog('the outbox was truncated or made anew, and its positions begin again', true, false);
  if (change === 'restarted')
    return ofLog('the sequence of the outbox was restarted, and its positions begin again', true, true);
  if (beyondSequence(recorded.reach))
    return ofLog(`position ${recorded.reach} is recorded as published, but the sequence stands at ${last}`, true);

  const moved = known !== undefined && known.log.place !== place;
  if (known && (recorded.position < known.position || (moved && recorded.reach < known.reach))) {
    const reason = moved
      ? `the database is an older copy: it records position ${recorded.reach} as published, not ${known.reach}`
      : `the recorded position was set back from ${known.position} to ${recorded.position}`;
    return { goesOn: false, wentBack: { reason, ofLog: rowsBeyond, fromStart: false, keepsOld: rowsBeyond } };
  }
  if (cursor !== undefined && beyondSequence(cursor))
    return ofLog(`position ${cursor} is published, but the sequence stands at ${last}`, false);
  if (rowsBeyond && !seenBeyond && (known === undefined || moved || !known.log.rowsBeyond))
    return ofLog(`the sequence was set back to ${last}, and the outbox keeps messages beyond it`, false);
  return { goesOn: known !== undefined && !moved && recorded.position === known.position };
}

/**
 * What happened to the log since the row was recorded. TRUNCATE … RESTART IDENTITY and ALTER SEQUENCE … RESTART give the sequence
 * a new file; setval, a plain TRUNCATE and VACUUM FULL do not. A dump that was restored brings a lease table of its own, whose
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
