import pg from 'pg';
import { type Attention, attention } from '../operations/attention.js';
import { latestReleaseId } from '../operations/audit.js';
import { type Cursor, multirange, type Span } from '../log/cursor.js';
import { blocksOf, type DueSince, dueSince, LATE, NIL } from '../postgres/due-range.js';
import { type Incident, openIncidents, reportIncident } from '../operations/incidents.js';
import { cursorOf, readUpTo, recorded } from '../log/lease-progress.js';
import { type KnownLease, type LeaseAnswer, type LeaseStore, type Unpublished } from '../poll/lease.js';
import { type InboxOptions } from '../messaging-options.js';
import { type OutboxRow } from '../message/message.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { SessionClient, withoutRefusal } from '../postgres/session-client.js';

/** Notifies the relays of the schema that rows were committed, the lease is free, or an operator changed parked messages. */
export type OutboxNotice = 'committed' | 'lease-released' | 'parked-changed';

/** A generous estimate of the key, headers and framing that a record adds to its payload. */
export const RECORD_OVERHEAD_BYTES = 512;

/** How long a statement may take before the connection counts as dead. Less than a lease, so that a lost connection is noticed in time. */
const STATEMENT_MS = 3000;

/** The maximum range of positions that one statement scans. */
const MAX_SCANNED_POSITIONS = 200_000;
/** How many parked messages one statement moves to new positions. */
const MOVE_ROWS = 5000;

/** Fields are read in the order of the statement, because the relay reads millions of rows. */
const COLUMNS = `position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at`;
const OUT = `position::text, id::text, aggregatetype, aggregateid, type, dataschema, sequence::text, payload,
       (extract(epoch from created_at) * 1000)::bigint::text as timestamp`;

/** The poll's result. Some fields are null if another process holds the lease. */
interface LeaseRow {
  readonly token: string | null;
  readonly position: string | null;
  /** Also null if the row is as the holder knows it, because there may be many gaps. */
  readonly gaps: string | null;
  readonly ahead: Parameters<typeof cursorOf>[2];
  readonly kept: boolean | null;
  /** Whether the row records what was sent; meaningful only if `kept` is true. */
  readonly sent: boolean | null;
  readonly origin: string | null;
  readonly place: string;
  readonly log: string;
  readonly last: string | null;
  readonly lastReadable: boolean;
  readonly rowsBeyond: boolean;
  readonly clock: string;
  readonly pending: boolean;
  /** The due time of the first parked message that is due. */
  readonly parked: string | null;
  readonly anyParked: boolean;
  /** The due time of the first due job, by queue. */
  readonly jobs: Record<string, string> | null;
  readonly late: string;
  /** See {@link latestReleaseId}. */
  readonly lastAction: string | null;
  readonly incidents: readonly Incident[] | null;
  readonly unpublished: Unpublished | null;
  /** Null unless this poll has checked it. */
  readonly attention: Attention | null;
}

/** How often a process checks what needs an operator's attention. Less often than it polls, because the cost grows with the dead rows. */
const ATTENTION_EVERY_MS = 5000;
/** How many gaps the poll searches for overdue messages. */
const MAX_SEARCHED_GAPS = 100;

/**
 * A condition that is true for every row and only guides the planner. Without statistics the planner assumes that a range with two
 * ends is small, which is right when all but the last messages are published. With one end it would then read and sort the whole
 * log (2.4 ms at 20,000 rows, against 0.05 ms). In a backlog it is the other way round, because with two ends the planner would
 * sort the whole backlog (120 ms at 200,000 rows).
 */
const NO_END = 'position < 9223372036854775807';

/**
 * The part of the log to read:
 * - `all`: the whole log.
 * - `drawn`: up to the current value of the sequence. If the sequence was set back and older rows remain beyond it, a cursor past
 *   that value would miss the rows written next.
 * - `old`: rows written before the sequence was set back or restarted. Its row in the catalogue is as old as its restart.
 */
export type LogPart = 'all' | 'drawn' | 'old';

export interface ReadOptions {
  /** See {@link LogState}. */
  readonly place?: string | undefined;
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

/** A message key, which is an aggregate. */
export interface AggregateKey {
  readonly aggregatetype: string;
  readonly aggregateid: string;
}

/** A key with parked messages. `dead` and `waiting` are positions, or NaN if there is none. */
export interface ParkedKey extends AggregateKey {
  readonly dead: number;
  readonly waiting: number;
}

export interface StoreOptions {
  readonly databaseUrl: string;
  readonly schema: string;
  /** The service's name, which pg_stat_activity shows. */
  readonly service: string;
  /** The queues whose jobs the poll looks for. */
  readonly queues?: readonly string[];
  /** Where the search for due work starts. Every poll advances it. */
  readonly dueSince?: DueSince;
  /** The consumers of the process, which say whether their dead letters hold keys. */
  readonly consumes?: readonly Pick<InboxOptions, 'groupId' | 'afterDeadLetter'>[];
  readonly afterDeadLetter?: 'hold-key' | 'go-on';
}

/**
 * The relay's SQL, on a dedicated connection. A busy pool cannot delay publishing, and notifications arrive on the connection that
 * every poll proves alive. It uses single statements without session state, so that it works with a pooler in transaction mode.
 * Not reusable after an error.
 */
export class OutboxStore implements LeaseStore {
  private readonly schema: string;
  private last: Promise<unknown> = Promise.resolve();
  private closed = false;
  /** The quoted name of the sequence of positions; undefined if the table has none. */
  private sequence: string | undefined;
  private sequenceReadable = false;
  private readonly dueSince: DueSince;
  private checkAttentionAt = 0;

  private constructor(
    private readonly client: pg.Client,
    private readonly options: StoreOptions,
  ) {
    this.schema = quoteIdentifier(options.schema);
    this.dueSince = options.dueSince ?? { parked: null, jobs: {} };
  }

  /** Connects and listens for notifications. `onLost` is called once if the connection breaks. */
  static async connect(
    options: StoreOptions,
    onNotice: (notice: string) => void,
    onLost: (error: Error) => void,
  ): Promise<OutboxStore> {
    const client = await withoutRefusal(() => connected(options, onLost));
    client.on('notification', ({ payload }) => onNotice(payload ?? ''));
    const store = new OutboxStore(client, options);
    try {
      await store.query(`listen ${quoteIdentifier(channelOf(options.schema))}`);
      await store.findSequence();
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }

  private async findSequence(): Promise<void> {
    const { rows } = await this.query<{ sequence: string | null; readable: boolean | null }>(
      `select sequence, has_sequence_privilege(sequence, 'select') as readable
         from pg_get_serial_sequence($1, 'position') as sequence`,
      [`${this.schema}.outbox`],
    );
    this.sequence = rows[0]?.sequence ?? undefined;
    this.sequenceReadable = rows[0]?.readable ?? false;
  }

  /** Whether the service may read the sequence. Without the grant, a sequence that is set back goes unnoticed. */
  get canReadSequence(): boolean {
    return this.sequenceReadable;
  }

  /** SQL for the place of the log; see {@link LogState}. */
  private get place(): string {
    const { outbox, sequence } = this.relations;
    return `concat(extract(epoch from pg_postmaster_start_time()), ' ', pg_relation_filepath(${sequence ?? outbox}))`;
  }

  /** SQL for the value that the lease row records as `origin`; see {@link LogState}. */
  private get log(): string {
    const { lease, outbox, sequence } = this.relations;
    return `concat_ws('/', ${lease}::oid, ${outbox}::oid, coalesce(pg_relation_filenode(${sequence ?? 'null'}), 0),
              pg_relation_filenode(${outbox}))`;
  }

  private get relations(): { lease: string; outbox: string; sequence: string | undefined } {
    const named = (name: string) => `'${name.replaceAll("'", "''")}'::regclass`;
    return {
      lease: named(`${this.schema}.relay_lease`),
      outbox: named(`${this.schema}.outbox`),
      sequence: this.sequence === undefined ? undefined : named(this.sequence),
    };
  }

  /** SQL for the last position that was handed out; null if the service may not read it. */
  private get lastPosition(): string {
    if (!this.sequence || !this.sequenceReadable) return 'null::bigint';
    return `(select last_value - (not is_called)::int from ${this.sequence})`;
  }

  async holdLease(
    holder: string | undefined,
    leaseMs: number,
    progress?: Cursor,
    known?: KnownLease,
  ): Promise<LeaseAnswer> {
    const { schema, queues = [], consumes = [], afterDeadLetter } = this.options;
    const since = this.dueSince;
    const checksAttention = performance.now() >= this.checkAttentionAt;
    if (checksAttention) this.checkAttentionAt = performance.now() + ATTENTION_EVERY_MS;
    const goOn = consumes.filter((consumer) => consumer.afterDeadLetter === 'go-on').map(({ groupId }) => groupId);
    const needed = checksAttention
      ? attention(schema, { holds: afterDeadLetter !== 'go-on', goOn: '$13' })
      : 'null::json';
    const { place, log, lastPosition } = this;
    const { sequence } = this.relations;
    const written =
      progress && isRecorded(progress, known)
        ? { position: progress.position, gaps: undefined, ahead: null }
        : progress && recorded(progress);
    const sentAt = Date.now();
    const { rows } = await this.query<LeaseRow>(
      `with lease as (
         update ${this.schema}.relay_lease
            set holder = $1,
                token = token + (holder is distinct from $1)::int,
                expires_at = clock_timestamp() + $2 * interval '1 millisecond',
                ${this.recording({ position: '$3', gaps: '$4', ahead: '$12', reach: '$11', place: '$6', token: '$7', known: '$8' })}
          where holder = $1 or (expires_at < clock_timestamp() and $1::uuid is not null)
         returning token, position, origin, gaps, ahead,
                   $6 = ${place} and token = $7::bigint and position in ($3::bigint, $8::bigint) as kept,
                   position = $3::bigint and ahead is not distinct from $12::jsonb as sent),
       -- If the clock is stepped back, a dead holder's lease would last longer by that step. A holder never relies on its
       -- lease for longer than this. Only an operator sets 'infinity'.
       shortened as (
         update ${this.schema}.relay_lease set expires_at = clock_timestamp() + $2 * interval '1 millisecond'
          where $1::uuid is not null and holder is distinct from $1
            and expires_at > clock_timestamp() + $2 * interval '1 millisecond' and expires_at < 'infinity')
       select lease.token, lease.position, lease.origin, lease.kept, lease.sent,
              case when lease.kept then null else lease.gaps end as gaps,
              case when lease.kept then null else lease.ahead end as ahead,
              ${place} as place, ${log} as log, log.last,
              has_sequence_privilege(${sequence ?? 'null::regclass'}, 'select') is true as "lastReadable",
              (select true from ${this.schema}.outbox
                where position > log.last order by position limit 1) is not null as "rowsBeyond",
              floor(extract(epoch from clock_timestamp()) * 1000)::bigint as clock,
              -- Ordered although any row would do, because for a bare exists the planner reads the whole log and expects to find
              -- one soon.
              (select position from ${this.schema}.outbox
                where position > ${readUpTo('lease')} order by position limit 1)
                <= coalesce(log.last, 9223372036854775807) is true as pending,
              -- Served by inbox_parked_due, jobs_due and messaging_audit_pkey. No index serves clock_timestamp(), which is
              -- volatile. Rows are compared instead of times so that the planner does not assume a small range and sort it.
              (select next_attempt_at::text from ${this.schema}.inbox_parked
                where next_attempt_at <= statement_timestamp()
                  and (next_attempt_at, id) >= ((select ${dueSince(schema, 'inbox_parked', '$9::timestamptz')}), 0)
                order by next_attempt_at limit 1) as parked,
              ${blocksOf(schema, 'inbox_parked')} > 0 as "anyParked",
              (select json_object_agg(handled.queue, due.run_at::text)
                 from unnest($5::text[], $10::timestamptz[]) as handled (queue, since) cross join lateral (
                   select run_at from ${this.schema}.jobs
                    where jobs.queue = handled.queue and dead_at is null and run_at <= statement_timestamp()
                      and (run_at, id) >= (${dueSince(schema, 'jobs', 'handled.since')}, '${NIL}'::uuid)
                    order by run_at limit 1) as due) as jobs,
              (${LATE})::text as late,
              ${latestReleaseId(schema)} as "lastAction",
              ${openIncidents(this.options.schema)} as incidents,
              -- Served by outbox_pkey. Starts at the recorded position, so that messages of blocked types count. Rows that the
              -- sequence has not reached are older than its restart, and published.
              (select json_build_object('seconds', extract(epoch from clock_timestamp() - min(oldest.created_at))::float8,
                                        'leased', l.expires_at > clock_timestamp())
                 from ${this.schema}.relay_lease as l
                cross join lateral (
                  (select position, created_at from ${this.schema}.outbox
                    where outbox.position > l.position order by position limit 1)
                  union all
                  (select late.position, late.created_at
                     from (select span from unnest(l.gaps) as span limit ${MAX_SEARCHED_GAPS}) as gap
                    cross join lateral (
                      select position, created_at from ${this.schema}.outbox
                       where position >= lower(gap.span) and position < upper(gap.span)
                       order by position limit 1) as late)) as oldest
                where oldest.position <= coalesce(log.last, 9223372036854775807)
                group by l.expires_at) as unpublished,
              ${needed} as attention
         from (select ${lastPosition} as last) as log left join lease on true`,
      [
        holder,
        leaseMs,
        written?.position,
        written?.gaps,
        queues,
        known?.log.place,
        known?.token,
        known?.position,
        since.parked,
        queues.map((queue) => since.jobs[queue] ?? null),
        progress?.position,
        written?.ahead,
        ...(checksAttention ? [goOn] : []),
      ],
    );
    const [row] = rows;
    if (!row) throw new Error('PostgreSQL returned no row for the poll');
    const { token, pending, parked, anyParked, jobs, late, lastAction, incidents, unpublished } = row;
    this.sequenceReadable = row.lastReadable;
    since.parked = parked ?? late;
    for (const queue of queues) since.jobs[queue] = jobs?.[queue] ?? late;
    const answer = {
      due: {
        parked: parked !== null,
        anyParked,
        jobs: jobs !== null,
        latestReleaseId: lastAction ?? undefined,
        incidents: incidents ?? [],
        attention: row.attention ?? undefined,
      },
      unpublished: unpublished ?? undefined,
      log: {
        place: row.place,
        log: row.log,
        last: row.last === null ? undefined : Number(row.last),
        rowsBeyond: row.rowsBeyond,
      },
      clockAheadMs: beyondRoundTrip(Number(row.clock), sentAt, Date.now()),
    };
    if (token === null) return { ...answer, token: undefined, pending: false };
    const position = Number(row.position);
    const asSent = row.kept && row.sent ? progress : undefined;
    const asKnown = row.kept ? known?.progress : undefined;
    const found = asSent ?? asKnown ?? cursorOf(position, row.gaps ?? '{}', row.ahead);
    return { ...answer, token, pending, progress: found, position, origin: row.origin };
  }

  async releaseLease(holder: string, progress?: Cursor, known?: KnownLease): Promise<void> {
    const written = progress && recorded(progress, Infinity);
    const { rowCount } = await this.query(
      `update ${this.schema}.relay_lease
          set expires_at = '-infinity',
              ${this.recording({ position: '$2', gaps: '$3', ahead: '$8', reach: '$7', place: '$4', token: '$5', known: '$6' })}
        where holder = $1`,
      [
        holder,
        written?.position,
        written?.gaps,
        known?.log.place,
        known?.token,
        known?.position,
        progress?.position,
        written?.ahead,
      ],
    );
    if (rowCount) await this.notify('lease-released');
  }

  /**
   * SQL that records progress in the lease row, unless the progress is obsolete because another process has published meanwhile,
   * the log has changed, or the sequence has not reached that position. The arguments are the statement's parameters; $1 is the
   * holder.
   */
  private recording(of: Record<'position' | 'gaps' | 'ahead' | 'reach' | 'place' | 'token' | 'known', string>): string {
    const recordable = `holder = $1 and ${of.reach}::bigint <= coalesce(${this.lastPosition}, ${of.reach}::bigint)
                        and (${of.place}::text is null or (${of.place} = ${this.place} and token = ${of.token}::bigint
                             and position = ${of.known}::bigint))`;
    return `position = case when ${recordable} then ${of.position}::bigint else position end,
            gaps = case when ${recordable} then coalesce(${of.gaps}::int8multirange, gaps) else gaps end,
            ahead = case when ${recordable} then ${of.ahead}::jsonb else ahead end,
            origin = case when ${recordable} then ${this.log} else origin end`;
  }

  /** Records an incident over the relay's own connection. */
  async report(incident: Pick<Incident, 'kind' | 'subject' | 'problem' | 'detail'>): Promise<void> {
    const { text, values } = reportIncident(this.options.schema, incident);
    await this.query(text, values);
  }

  /**
   * Moves parked messages, in their order, to positions before all that the log will reuse. Otherwise a message parked later at
   * the position of an older one would be taken for that one and lost. Safe to repeat.
   */
  async moveParkedBack(): Promise<void> {
    const { rows } = await this.query<{ first: string | null; shift: string }>(
      `select min(position) as first, greatest(max(position), 0) - least(min(position), 1) + 1 as shift
         from ${this.schema}.outbox_parked`,
    );
    const { first, shift } = rows[0] ?? { first: null, shift: '0' };
    if (first === null) return;
    // In chunks that each stay well within the time limit of a statement. Moved rows lie before `first`.
    for (let moved = MOVE_ROWS; moved === MOVE_ROWS;) {
      const { rowCount } = await this.query(
        `update ${this.schema}.outbox_parked set position = position - $2::bigint
          where position = any(array(select position from ${this.schema}.outbox_parked
                                      where position >= $1 order by position limit ${MOVE_ROWS}))`,
        [first, shift],
      );
      moved = rowCount ?? 0;
    }
  }

  /** Parks the messages of blocked types from before the log went back, so that they are published first once that is possible. */
  async parkOld(aggregateTypes: readonly string[]): Promise<void> {
    await this.query(
      `insert into ${this.schema}.outbox_parked (${COLUMNS})
       select ${COLUMNS} from ${this.schema}.outbox
        where aggregatetype = any($1::text[])${this.conditionOf('old')}
       on conflict do nothing`,
      [aggregateTypes],
    );
  }

  /**
   * Reads the oldest messages beyond the cursor or in its gaps, in the order of their positions, as many as `bytes` allow but at
   * least one. One statement reads both, and so in one snapshot. Otherwise a message seen beyond the cursor could overtake an
   * earlier one of its key that was not yet visible in a gap (P3). Served by the primary key, provided that `few` says whether most
   * of the log lies before the cursor. Messages of a blocked type have no payload, because they are skipped and not sent.
   *
   * Finds nothing if the log is not at `place`, or its sequence is before the cursor. The next poll shows why, and until then new
   * messages could be mistaken for later ones.
   */
  async read(
    cursor: Cursor,
    limit: number,
    bytes: number,
    few = false,
    { place, part = 'all', gaps = cursor.gaps, unlessEnded = [] }: ReadOptions = {},
  ): Promise<OutboxRow[]> {
    const values: unknown[] = [cursor.position, limit, bytes];
    const value = (of: unknown) => `$${values.push(of)}`;
    const which = this.conditionOf(part);
    const columns =
      cursor.waiting.size === 0
        ? COLUMNS
        : COLUMNS.replace(
            'payload',
            `case when aggregatetype = any(${value([...cursor.waiting.keys()])}::text[]) then '' else payload end as payload`,
          );
    const range = few && part !== 'drawn' ? `position > $1 and ${NO_END}` : 'position > $1';
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
    const passed = part === 'old' ? '' : this.sequenceHasPassed('$1');
    const inPlace = place === undefined ? '' : ` and ${value(place)} = ${this.place}${passed}`;
    const rows = `
       select ${OUT}, (total - nth)::text as rest
         from (select *, row_number() over w as nth, count(*) over () as total,
                      sum(octet_length(payload) + ${RECORD_OVERHEAD_BYTES}) over w as bytes
                 from (${oldest}) as oldest
               window w as (order by oldest.position)) as measured
        where (nth = 1 or bytes <= $3)${inPlace}
        order by measured.position`;
    if (unlessEnded.length === 0) return (await this.query<OutboxRow>(rows, values)).rows;

    // The locks are read after the snapshot was taken, so a transaction that still holds its lock had not ended in the snapshot.
    const { rows: answer } = await this.query<OutboxRow & { ended: boolean }>(
      `select read.*, writers.ended
         from (select count(distinct virtualtransaction) < ${value(unlessEnded.length)}::int as ended
                 from pg_locks where ${this.isWriter} and virtualtransaction = any(${value(unlessEnded)}::text[])) as writers
         left join (${rows}) as read on true
        order by read.position::bigint`,
      values,
    );
    if (answer[0]?.ended) throw new WriterEnded();
    return answer.filter(({ position }) => position !== null);
  }

  /**
   * Reads the oldest messages of an aggregate type from `from` on that lie before the cursor, as many as `bytes` allow but at least
   * one. It scans at most `maxScanned` messages of any type along the primary key; `upTo` is where the scan ended. Messages in a
   * gap of the cursor are left to a later read. `inPlace` is false if the log is not at `place` or its sequence is before the
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
      place,
    }: { limit: number; bytes: number; maxScanned: number; place?: string | undefined },
  ): Promise<{ rows: OutboxRow[]; upTo: number; inPlace: boolean }> {
    // Removed rows stay in the index for as long as an old transaction is open; see `removeOld`.
    const end = Math.min(cursor.position, from + MAX_SCANNED_POSITIONS);
    const { rows } = await this.query<OutboxRow & { upTo: string | null; inPlace: boolean }>(
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
       select ${OUT},
              (select case when (select count(*) from few) = $5 or (select count(*) from few) < (select count(*) from oldest)
                           then (select max(position) from few)
                           when count(*) = $6 then max(position) else $3 end from looked)::text as "upTo",
              ($8::text is null or $8 = ${this.place})${this.sequenceHasPassed('$9')} as "inPlace"
         from few right join (values (1)) as one on true order by few.position`,
      [aggregatetype, from, end, multirange(cursor.gaps), limit, maxScanned, bytes, place, cursor.position],
    );
    const [first] = rows;
    if (!first) throw new Error('PostgreSQL returned no row for the read');
    return { rows: first.id === null ? [] : rows, upTo: Number(first.upTo), inPlace: first.inPlace };
  }

  private sequenceHasPassed(position: string): string {
    // Cheaper than reading the sequence as a table; null if nothing was drawn since it was set.
    if (!this.sequence || !this.sequenceReadable) return '';
    return ` and (select coalesce(pg_sequence_last_value(${this.relations.sequence}) >= ${position}, true))`;
  }

  private conditionOf(part: LogPart): string {
    const { sequence } = this.relations;
    if (part === 'drawn') return ` and position <= coalesce(${this.lastPosition}, 9223372036854775807)`;
    if (part === 'old')
      return ` and (position > ${this.lastPosition} or
                    age(xmin) > (select age(xmin) from pg_class where oid = ${sequence ?? 'null'}))`;
    return '';
  }

  /** Returns the transactions, including prepared ones, that may fill a gap because they hold the lock that every writer takes first. */
  async openWriters(): Promise<string[]> {
    const { rows } = await this.query<{ writer: string }>(
      `select distinct virtualtransaction as writer from pg_locks where ${this.isWriter}`,
    );
    return rows.map(({ writer }) => writer);
  }

  /** Describes the oldest of these transactions, so that an operator can find it. */
  async oldestOf(writers: readonly string[]): Promise<GapWriter | undefined> {
    const { rows } = await this.query<GapWriter>(
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
            and relation = ${this.relations.outbox}`;
  }

  /** Parks a dead letter, or messages that wait behind one in its key. Safe to repeat. */
  async park(rows: readonly OutboxRow[], error?: string): Promise<void> {
    await this.query(
      `insert into ${this.schema}.outbox_parked (${COLUMNS}, error, dead_at)
       select ${COLUMNS}, $2::text, case when $2::text is not null then clock_timestamp() end
         from ${this.schema}.outbox
        where position = any($1::bigint[])
       on conflict do nothing`,
      [rows.map(({ position }) => position), error ?? null],
    );
  }

  /** Returns the keys with parked messages, each with the positions of its first dead letter and its first waiting message. */
  async parkedKeys(): Promise<ParkedKey[]> {
    const { rows } = await this.query<AggregateKey & { dead: string | null; waiting: string | null }>(
      `select aggregatetype, aggregateid, min(position) filter (where dead_at is not null) as dead,
              min(position) filter (where dead_at is null) as waiting
         from ${this.schema}.outbox_parked group by aggregatetype, aggregateid`,
    );
    return rows.map((key) => ({ ...key, dead: Number(key.dead ?? NaN), waiting: Number(key.waiting ?? NaN) }));
  }

  /** Reads a key's oldest waiting parked messages in order, optionally only those before a position. Served by outbox_parked_key. */
  async readParked(
    { aggregatetype, aggregateid }: AggregateKey,
    before: number | undefined,
    limit: number,
  ): Promise<OutboxRow[]> {
    const { rows } = await this.query<OutboxRow>(
      `select ${OUT} from ${this.schema}.outbox_parked
        where aggregatetype = $1 and aggregateid = $2 and dead_at is null and ($3::bigint is null or position < $3)
        order by outbox_parked.position limit $4`,
      [aggregatetype, aggregateid, before, limit],
    );
    return rows;
  }

  async markParkedDead(row: OutboxRow, error: string): Promise<void> {
    await this.query(
      `update ${this.schema}.outbox_parked set dead_at = clock_timestamp(), error = $2 where position = $1`,
      [row.position, error],
    );
  }

  async removeParked(rows: readonly OutboxRow[]): Promise<void> {
    await this.query(`delete from ${this.schema}.outbox_parked where position = any($1::bigint[])`, [
      rows.map(({ position }) => position),
    ]);
  }

  /**
   * Checks the first `limit` published messages beyond `after`, and removes those that are older than `retentionMs`. It takes only
   * row locks, on rows that nobody writes, so no writer waits for it.
   *
   * Removed rows stay in the index for as long as any old transaction is open (P6), and a scan from the beginning would walk over
   * all of them (2.2 s for two million, while a statement of 3 s costs the connection). So the next scan starts where this one
   * ends, and none covers more than a bounded number of positions, dead or alive. A scan ends before the first message that was
   * kept, because that message may be younger by the clock than a later one and would otherwise be skipped for good. If the log is
   * not at `place`, nothing is removed.
   */
  async removeOld(after: number, cursor: Cursor, retentionMs: number, limit: number, place?: string): Promise<Removal> {
    const end = cursor.gaps[0]?.from ?? cursor.position + 1;
    const before = Math.min(end, after + MAX_SCANNED_POSITIONS);
    // Messages of blocked types are skipped, because they stay until they are published.
    const { rows } = await this.query<{ count: number; waiting: number; upTo: string }>(
      `with looked as materialized (
         select position, aggregatetype = any($5::text[]) as waits,
                created_at < clock_timestamp() - $3 * interval '1 millisecond' as old
           from ${this.schema}.outbox
          where position > $1 and position < $2 and ($6::text is null or $6 = ${this.place})
          order by position limit $4),
       removed as (
         delete from ${this.schema}.outbox
          where position = any(array(select position from looked where old and not waits)) returning 1)
       select (select count(*) from removed)::int as count, (count(*) filter (where waits))::int as waiting,
              coalesce(min(position) filter (where not old and not waits) - 1,
                       case when count(*) = $4 then max(position) else $2 - 1 end) as "upTo"
         from looked`,
      [after, before, retentionMs, limit, [...cursor.waiting.keys()], place],
    );
    const [row] = rows;
    if (!row) throw new Error('PostgreSQL returned no row for the removal');
    const { count, waiting } = row;
    const upTo = Number(row.upTo);
    return { count, upTo, more: count + waiting === limit || (upTo === before - 1 && before < end) };
  }

  /** Notifies the relays of all processes. Sent outside of transactions, because inside one it would serialise all commits. */
  async notify(notice: OutboxNotice): Promise<void> {
    // A notification commits like a write, but need not survive a crash, so it does not wait for the disk.
    await this.query(`select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`, [
      channelOf(this.options.schema),
      notice,
    ]);
  }

  /**
   * Sends a notification to this connection from another one. A pooler or a half-dead connection silently drops notifications,
   * but delivers those that a connection sends to itself.
   */
  async notifyFromElsewhere(notice: string): Promise<void> {
    const client = newClient(this.options);
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('select pg_notify($1, $2)', [channelOf(this.options.schema), notice]);
    } finally {
      await end(client);
    }
  }

  /** Runs statements one after another, because the lease is renewed while a batch is read or sent. */
  private query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<pg.QueryResult<Row>> {
    const result = this.last.then(async () => {
      if (this.closed) throw new Error('the connection was closed');
      try {
        return await this.client.query<Row>(text, values);
      } catch (error) {
        // The server would continue a statement that waits for a lock after we gave up on it. Reconnecting every second would then
        // leave behind one session each.
        if ((error as Error).message === 'Query read timeout') await cancelOnServer(this.client, this.options);
        throw error;
      }
    });
    this.last = result.catch(() => undefined);
    return result;
  }

  /** Never throws, and never waits for a server that does not answer. */
  async close(): Promise<void> {
    this.closed = true;
    await end(this.client);
  }
}

/** Returns how far a clock read during the round trip is ahead of ours, or 0 if the round trip explains the difference. */
function beyondRoundTrip(theirs: number, sentAt: number, answeredAt: number): number {
  if (theirs > answeredAt) return theirs - answeredAt;
  return Math.min(0, theirs - sentAt);
}

/** Whether the row already has these gaps, which may be many and need not be sent again. */
function isRecorded({ gaps, waiting }: Cursor, known: KnownLease | undefined): boolean {
  return waiting.size === 0 && known?.progress.waiting.size === 0 && gaps === known.progress.gaps;
}

/** Whether the server answered with an error, so that the connection still works. If it ends afterwards, it reports that itself. */
export function isAnswer(error: unknown): boolean {
  return error instanceof pg.DatabaseError;
}

export function channelOf(schema: string): string {
  return `${schema}_outbox`;
}

async function connected(options: StoreOptions, onLost: (error: Error) => void): Promise<pg.Client> {
  const client = newClient(options);
  // Set before connecting, because a connection that breaks early must not cause an uncaught 'error' event.
  client.on('error', () => undefined);
  try {
    await client.connect();
    client.on('error', onLost);
    return client;
  } catch (error) {
    await end(client);
    throw error;
  }
}

function newClient(options: { readonly databaseUrl: string; readonly service: string }): pg.Client {
  return new SessionClient({
    connectionString: options.databaseUrl,
    application_name: `${options.service} relay`,
    connectionTimeoutMillis: STATEMENT_MS,
    query_timeout: STATEMENT_MS,
    keepAlive: true,
  });
}

async function end(client: pg.Client): Promise<void> {
  const ended = client.end().catch(() => undefined);
  const timer = setTimeout(() => innerConnection(client).stream.destroy(), 500);
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 600).unref())]);
  clearTimeout(timer);
}

/** Sends PostgreSQL's cancel request over a connection of its own. It identifies the backend, and works through a pooler too. */
async function cancelOnServer(client: pg.Client, options: { databaseUrl: string; service: string }): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const messenger = newClient(options);
  const connection = innerConnection(messenger);
  const { host, port } = messenger;
  const cancelled = new Promise<void>((resolve) => {
    connection.on('connect', () => connection.cancel(processID, secretKey));
    connection.on('end', resolve).on('error', resolve);
    setTimeout(resolve, 500).unref();
  });
  if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
  else connection.connect(port, host);
  await cancelled;
  connection.stream.destroy();
}

interface InnerConnection {
  readonly stream: { destroy(): void };
  connect(portOrPath: number | string, host?: string): void;
  cancel(processId: number, secretKey: number): void;
  on(event: string, listener: () => void): this;
}

/** pg has no public API to drop a connection whose server is silent (`end` would wait for it), nor to cancel a statement. */
function innerConnection(client: pg.Client): InnerConnection {
  return (client as unknown as { connection: InnerConnection }).connection;
}
