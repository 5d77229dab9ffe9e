import { type Cursor, multirange, type Span } from '../log/cursor.js';
import { type LogPart, type LogSql } from '../log/log-sql.js';
import { type OutboxRow } from '../message/message.js';
import { type Incident, reportIncident } from '../operations/incident.js';
import { type Connection } from '../postgres/connection.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { COLUMNS, OUT, type OutFields, RECORD_OVERHEAD_BYTES, toRow } from './outbox-columns.js';

/** The maximum range of positions that one statement scans. */
const MAX_SCANNED_POSITIONS = 200_000;

/**
 * A condition that is true for every row and only guides the planner. Without statistics the planner assumes that a range with two
 * ends is small, which is right when all but the last messages are published. With one end it would then read and sort the whole
 * log (2.4 ms at 20,000 rows, against 0.05 ms). In a backlog it is the other way round, because with two ends the planner would
 * sort the whole backlog (120 ms at 200,000 rows).
 */
const NO_END = 'position < 9223372036854775807';

export interface ReadOptions {
  /** See `LogState`. */
  readonly location?: string | undefined;
  readonly part?: LogPart;
  /** The gaps to read; by default those of the cursor. */
  readonly gaps?: readonly Span[];
  /** The writers that may fill the gaps left out. */
  readonly unlessEnded?: readonly string[];
}

/** A transaction has ended that may have filled a gap left out of the read. The rows read must not be published. */
export class WriterEnded extends Error {}

/** The oldest transaction that may fill a gap, as far as the role may see it. */
export interface GapWriter {
  /** Null for a prepared transaction. */
  readonly pid: number | null;
  /** The application name of the session, or the id of the prepared transaction. */
  readonly application: string | null;
  readonly seconds: number | null;
}

/** The result of one removal of old messages. */
export interface Removal {
  readonly count: number;
  /** No message to remove is left up to this position. */
  readonly upTo: number;
  /** Whether there may be more to remove right away. */
  readonly more: boolean;
}

/** The SQL with which the leader reads the outbox and removes old messages, on the connection of the poll that granted the lease. */
export class RelayStore {
  private readonly schema: string;

  constructor(
    private readonly connection: Connection,
    private readonly log: LogSql,
    private readonly schemaName: string,
  ) {
    this.schema = quoteIdentifier(schemaName);
  }

  /**
   * Reads the oldest messages beyond the cursor or in its gaps, in the order of their positions, as many as `bytes` allow but at
   * least one. One statement reads both, and so in one snapshot. Otherwise a message seen beyond the cursor could overtake an
   * earlier one of its key that was not yet visible in a gap (P3). Messages of a blocked type have no payload, because they are
   * skipped and not sent.
   *
   * With `caughtUp`, few rows are expected beyond the cursor. That affects only the plan; see `NO_END`. Served by the primary key.
   *
   * Finds nothing if the log is not at `location`, or its sequence is before the cursor. The next poll shows why, and until then new
   * messages could be mistaken for later ones.
   */
  async read(
    cursor: Cursor,
    limit: number,
    bytes: number,
    caughtUp = false,
    { location, part = 'all', gaps = cursor.gaps, unlessEnded = [] }: ReadOptions = {},
  ): Promise<OutboxRow[]> {
    const values: unknown[] = [cursor.position, limit, bytes];
    const value = (of: unknown) => `$${values.push(of)}`;
    const which = this.log.conditionOf(part);
    const columns =
      cursor.waiting.size === 0
        ? COLUMNS
        : COLUMNS.replace(
            'payload',
            `case when aggregatetype = any(${value([...cursor.waiting.keys()])}::text[]) then '' else payload end as payload`,
          );
    const range = caughtUp && part !== 'drawn' ? `position > $1 and ${NO_END}` : 'position > $1';
    const beyond = `select ${columns} from ${this.schema}.outbox where ${range}${which} order by position limit $2`;
    const oldest =
      gaps.length === 0
        ? beyond
        : // Lateral with a limit, so that each gap costs an index scan and never a table scan.
          `(select late.* from unnest(${value(multirange(gaps))}::int8multirange) as gap (span) cross join lateral (
              select ${columns} from ${this.schema}.outbox
               where position >= lower(gap.span) and position < upper(gap.span)${which} order by position limit $2) as late
             order by position limit $2)
           union all (${beyond}) order by position limit $2`;
    const passed = part === 'old' ? '' : this.log.sequenceHasPassed('$1');
    const logMatches = location === undefined ? '' : ` and ${value(location)} = ${this.log.location}${passed}`;
    const rows = `
       select ${OUT}, (total - nth)::text as rest
         from (select *, row_number() over w as nth, count(*) over () as total,
                      sum(octet_length(payload) + ${RECORD_OVERHEAD_BYTES}) over w as bytes
                 from (${oldest}) as oldest
               window w as (order by oldest.position)) as measured
        where (nth = 1 or bytes <= $3)${logMatches}
        order by measured.position`;
    if (unlessEnded.length === 0) return (await this.connection.queryArrays<OutFields>(rows, values)).map(toRow);
    return this.readUnlessEnded(rows, values, unlessEnded);
  }

  /** Runs the statement of a read. @throws WriterEnded if one of the writers has ended */
  private async readUnlessEnded(read: string, values: unknown[], writers: readonly string[]): Promise<OutboxRow[]> {
    const value = (of: unknown) => `$${values.push(of)}`;
    // The locks are read after the snapshot was taken, so a transaction that still holds its lock had not ended in the snapshot.
    const rows = await this.connection.queryArrays<[ended: boolean, ...row: OutFields]>(
      `select writers.ended, read.*
         from (select count(distinct virtualtransaction) < ${value(writers.length)}::int as ended
                 from pg_locks where ${this.isWriter} and virtualtransaction = any(${value(writers)}::text[])) as writers
         left join (${read}) as read on true
        order by read.position::bigint`,
      values,
    );
    const [[ended] = [false]] = rows;
    if (ended) throw new WriterEnded();
    return rows.flatMap(([, ...row]) => (row[0] === null ? [] : [toRow(row)]));
  }

  /**
   * Reads the oldest messages of an aggregate type from `from` on that lie before the cursor, as many as `bytes` allow but at least
   * one. It scans at most `maxScanned` messages of any type along the primary key; `upTo` is where the scan ended. Messages in a
   * gap of the cursor are left to a later read. `logMatches` is false if the log is not at `location` or its sequence is before the
   * cursor; the rows are meaningless then.
   */
  async readWaiting(
    aggregatetype: string,
    from: number,
    cursor: Cursor,
    {
      limit,
      bytes,
      maxScanned,
      location,
    }: { limit: number; bytes: number; maxScanned: number; location?: string | undefined },
  ): Promise<{ rows: OutboxRow[]; upTo: number; logMatches: boolean }> {
    // Removed rows stay in the index for as long as an old transaction is open; see `removeOld`.
    const end = Math.min(cursor.position, from + MAX_SCANNED_POSITIONS);
    const rows = await this.connection.queryArrays<[upTo: string | null, logMatches: boolean, ...row: OutFields]>(
      `with looked as materialized (
         select position, aggregatetype from ${this.schema}.outbox
          where position >= $2 and position <= $3 order by position limit $6),
       oldest as materialized (
         select ${COLUMNS}, sum(octet_length(payload) + ${RECORD_OVERHEAD_BYTES}) over (order by position) as bytes,
                row_number() over (order by position) as nth
           from ${this.schema}.outbox
          where position = any(array(select position from looked
                                      where aggregatetype = $1 and not position <@ $4::int8multirange
                                      order by position limit $5))),
       few as (select * from oldest where nth = 1 or bytes <= $7)
       select (select case when (select count(*) from few) = $5 or (select count(*) from few) < (select count(*) from oldest)
                           then (select max(position) from few)
                           when count(*) = $6 then max(position) else $3 end from looked)::text,
              ($8::text is null or $8 = ${this.log.location})${this.log.sequenceHasPassed('$9')}, ${OUT}
         from few right join (values (1)) as one on true order by few.position`,
      [aggregatetype, from, end, multirange(cursor.gaps), limit, maxScanned, bytes, location, cursor.position],
    );
    const [first] = rows;
    if (!first) throw new Error('PostgreSQL returned no row for the read');
    const [upTo, logMatches, position] = first;
    return {
      rows: position === null ? [] : rows.map(([, , ...row]) => toRow(row)),
      upTo: Number(upTo),
      logMatches,
    };
  }

  /** Returns the transactions, including prepared ones, that may fill a gap because they hold the lock that every writer takes first. */
  async openWriters(): Promise<string[]> {
    const { rows } = await this.connection.query<{ writer: string }>(
      `select distinct virtualtransaction as writer from pg_locks where ${this.isWriter}`,
    );
    return rows.map(({ writer }) => writer);
  }

  /** Describes the oldest of these transactions, so that an operator can find it. */
  async oldestOf(writers: readonly string[]): Promise<GapWriter | undefined> {
    const { rows } = await this.connection.query<GapWriter>(
      `select l.pid, coalesce(nullif(a.application_name, ''), p.gid) as application,
              extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 as seconds
         from (select * from pg_locks where ${this.isWriter} and virtualtransaction = any($1::text[])) as l
         left join pg_stat_activity as a on a.pid = l.pid
         left join pg_prepared_xacts as p on l.virtualtransaction = '-1/' || p.transaction
        order by coalesce(a.xact_start, p.prepared) limit 1`,
      [writers],
    );
    return rows[0];
  }

  /** SQL condition on a row of pg_locks: the lock lets its transaction write to the outbox. */
  private get isWriter(): string {
    return `locktype = 'relation' and mode = 'RowExclusiveLock' and granted
            and database = (select oid from pg_database where datname = current_database())
            and relation = ${this.log.relations.outbox}`;
  }

  /**
   * Checks the first `limit` published messages beyond `after`, and removes those that are older than `retentionMs` and the least
   * retention of the tables. The function removes only what the lease row records as published, and no message of a blocked type,
   * because those stay until they are published. It takes only row locks, on rows that nobody writes, so no writer waits for it.
   *
   * Removed rows stay in the index for as long as any old transaction is open (P6), and a scan from the beginning would walk over
   * all of them (2.2 s for two million, while a statement of 3 s costs the connection). So the next scan starts where this one
   * ends, and none covers more than a bounded number of positions, dead or alive. A scan ends before the first message that was
   * kept, because that message may be younger by the clock than a later one and would otherwise be skipped for good. If the log is
   * not at `location`, nothing is removed.
   */
  async removeOld(
    after: number,
    cursor: Cursor,
    retentionMs: number,
    limit: number,
    location?: string,
  ): Promise<Removal> {
    const end = cursor.gaps[0]?.from ?? cursor.position + 1;
    const before = Math.min(end, after + MAX_SCANNED_POSITIONS);
    const { rows } = await this.connection.query<{ removed: number; waiting: number; upTo: string }>(
      `select removed, waiting, up_to as "upTo"
         from ${this.schema}.outbox_remove_old($1, $2, $3,
                case when $5::text is null or $5 = ${this.log.location} then $4::integer else 0 end)`,
      [after, before, retentionMs, limit, location],
    );
    const [row] = rows;
    if (!row) throw new Error('PostgreSQL returned no row for the removal');
    const { removed, waiting } = row;
    const upTo = Number(row.upTo);
    return { count: removed, upTo, more: removed + waiting === limit || (upTo === before - 1 && before < end) };
  }

  /** Records an incident over the poll's connection. */
  async report(incident: Pick<Incident, 'kind' | 'subject' | 'problem' | 'detail'>): Promise<void> {
    const { text, values } = reportIncident(this.schemaName, incident);
    await this.connection.query(text, values);
  }
}
