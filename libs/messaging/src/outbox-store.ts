import pg from 'pg';
import { type Attention, attention } from './attention.js';
import { type Cursor, multirange, type Span } from './cursor.js';
import { blocksOf, type DueSince, dueSince, LATE, NIL } from './due-range.js';
import { type Incident, openIncidents, reportIncident } from './incidents.js';
import { cursorOf, readUpTo, recorded } from './lease-progress.js';
import { type KnownLease, type LeaseAnswer, type LeaseStore, type Unpublished } from './lease.js';
import { type InboxOptions } from './messaging-options.js';
import { type OutboxRow } from './message.js';
import { quoteIdentifier } from './schema.js';
import { SessionClient, withoutRefusal } from './session-client.js';

/** Told to the relays of the schema: rows were committed, the lease is free, or a person changed what is parked. */
export type OutboxNotice = 'committed' | 'lease-released' | 'parked-changed';

/** What a record adds to its payload: key, headers and framing, generously. */
export const RECORD_OVERHEAD_BYTES = 512;

/** How long a statement may take before the connection counts as dead: less than a lease, so that its loss is noticed in time. */
const STATEMENT_MS = 3000;

/** Of so many positions at most old messages are looked for at a time. */
const LOOK_POSITIONS = 200_000;
/** Parked messages whose positions one statement changes. */
const MOVE_ROWS = 5000;

/** Read fields in the order of the statement: the relay reads millions of rows. */
const COLUMNS = `position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at`;
const OUT = `position::text, id::text, aggregatetype, aggregateid, type, dataschema, sequence::text, payload,
       (extract(epoch from created_at) * 1000)::bigint::text as timestamp`;

/** What the poll answers; nulls where the lease is another's. */
interface LeaseRow {
  readonly token: string | null;
  readonly position: string | null;
  /** Null too where the row is as the holder knows it: they may be many. */
  readonly gaps: string | null;
  readonly ahead: Parameters<typeof cursorOf>[2];
  readonly kept: boolean | null;
  /** It records what was sent, as far as `kept` rows tell. */
  readonly sent: boolean | null;
  readonly origin: string | null;
  readonly place: string;
  readonly log: string;
  readonly last: string | null;
  readonly lastReadable: boolean;
  readonly rowsBeyond: boolean;
  readonly clock: string;
  readonly pending: boolean;
  /** The time of the first row that is due. */
  readonly parked: string | null;
  readonly anyParked: boolean;
  /** The same of each queue that has one. */
  readonly jobs: Record<string, string> | null;
  readonly late: string;
  readonly lastAction: string | null;
  readonly incidents: readonly Incident[] | null;
  readonly unpublished: Unpublished | null;
  /** Null unless this poll has looked. */
  readonly attention: Attention | null;
}

/** How often a process looks for what waits for a person: rarer than it polls, because the cost grows with the dead rows. */
const ATTENTION_EVERY_MS = 5000;
/** So many gaps are looked into for overdue messages. */
const MOST_GAPS = 100;

/**
 * True of every row, and there for the planner: while it has no statistics it takes a range with two ends for a small one, which
 * it is when all but the last messages are published. With one end it then reads and sorts the whole log (2.4 ms at 20,000
 * rows, against 0.05). In a backlog it is the other way round: with two ends it would sort all of that (120 ms at 200,000).
 */
const NO_END = 'position < 9223372036854775807';

/**
 * - `all`: of the log.
 * - `drawn`: up to where the sequence stands. While it was set back and older rows are kept beyond it, a cursor that passed it
 *   would miss what is written next.
 * - `old`: what was written before the sequence was set back or restarted. Its row in the catalogue is as old as its restart.
 */
export type LogPart = 'all' | 'drawn' | 'old';

export interface ReadOptions {
  /** See {@link LogState}. */
  readonly place?: string | undefined;
  readonly part?: LogPart;
  /** The gaps to look into; those of the cursor unless given. */
  readonly gaps?: readonly Span[];
  /** Of the writers that may fill the other gaps. */
  readonly unlessEnded?: readonly string[];
}

/** A transaction has ended that may have filled a gap which was not looked into: what was read may not be published. */
export class WriterEnded extends Error {}

/** The transaction that has had its share in a gap for longest, as far as the role may see it. */
export interface GapWriter {
  /** Null for a prepared transaction. */
  readonly pid: number | null;
  /** That of the session, or the id of the prepared transaction. */
  readonly application: string | null;
  readonly seconds: number | null;
}

/** What one look at published messages came to. */
export interface Removal {
  readonly count: number;
  /** Up to here none is left. */
  readonly upTo: number;
  /** The next look may remove some at once. */
  readonly more: boolean;
}

/** A key: the aggregate that its messages are of. */
export interface AggregateKey {
  readonly aggregatetype: string;
  readonly aggregateid: string;
}

/** NaN where there is none. */
export interface ParkedKey extends AggregateKey {
  readonly dead: number;
  readonly waiting: number;
}

export interface StoreOptions {
  readonly databaseUrl: string;
  readonly schema: string;
  /** The name of the process in pg_stat_activity. */
  readonly service: string;
  /** Whose jobs are looked for. */
  readonly queues?: readonly string[];
  /** Where the looks begin for what is due; every poll moves it on. */
  readonly dueSince?: DueSince;
  /** Whose dead letters hold no keys. */
  readonly consumes?: readonly Pick<InboxOptions, 'groupId' | 'afterDeadLetter'>[];
  readonly afterDeadLetter?: 'hold-key' | 'go-on';
}

/**
 * The relay's SQL, on a connection of its own: a busy pool cannot delay publishing, and the notices arrive on the same
 * connection that every poll proves alive. Single statements without session state, for a pooler in transaction mode.
 * Not reusable after an error.
 */
export class OutboxStore implements LeaseStore {
  private readonly schema: string;
  private last: Promise<unknown> = Promise.resolve();
  private closed = false;
  /** The sequence of the positions, quoted; undefined where the table has none. */
  private sequence: string | undefined;
  private sequenceReadable = false;
  private readonly dueSince: DueSince;
  private lookForAttentionAt = 0;

  private constructor(
    private readonly client: pg.Client,
    private readonly options: StoreOptions,
  ) {
    this.schema = quoteIdentifier(options.schema);
    this.dueSince = options.dueSince ?? { parked: null, jobs: {} };
  }

  /** Connects and listens. `onLost` is called once when the connection breaks by itself. */
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

  /** Whether the service may read the sequence: without the grant, a sequence that is set back is not noticed. */
  get seesSequence(): boolean {
    return this.sequenceReadable;
  }

  /** SQL for the place of the log, see {@link LogState}. */
  private get place(): string {
    const { outbox, sequence } = this.relations;
    return `concat(extract(epoch from pg_postmaster_start_time()), ' ', pg_relation_filepath(${sequence ?? outbox}))`;
  }

  /** SQL for what the lease row records as `origin`, see {@link LogState}. */
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

  /** SQL for the last position that was handed out; null when it may not be read. */
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
    const looks = performance.now() >= this.lookForAttentionAt;
    if (looks) this.lookForAttentionAt = performance.now() + ATTENTION_EVERY_MS;
    const goOn = consumes.filter((consumer) => consumer.afterDeadLetter === 'go-on').map(({ groupId }) => groupId);
    const needed = looks ? attention(schema, { holds: afterDeadLetter !== 'go-on', goOn: '$13' }) : 'null::json';
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
       -- A clock that was stepped back leaves a dead holder's lease to last for the length of the step. The holder believes in
       -- it for no longer than this. 'infinity' is an operator's doing.
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
              -- In order, though any would do: for a bare exists the planner reads the whole log, expecting to find one soon.
              (select position from ${this.schema}.outbox
                where position > ${readUpTo('lease')} order by position limit 1)
                <= coalesce(log.last, 9223372036854775807) is true as pending,
              -- inbox_parked_due, jobs_due, messaging_audit_pkey; no index serves clock_timestamp(), which is volatile. The rows
              -- are compared, not the times, so that the planner does not take the range for a small one and sort it.
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
              (select max(id) from ${this.schema}.messaging_audit) as "lastAction",
              ${openIncidents(this.options.schema)} as incidents,
              -- outbox_pkey. From the recorded position on, so messages of blocked types count. Rows that the sequence has not
              -- reached are older than its restart, and published.
              (select json_build_object('seconds', extract(epoch from clock_timestamp() - min(oldest.created_at))::float8,
                                        'leased', l.expires_at > clock_timestamp())
                 from ${this.schema}.relay_lease as l
                cross join lateral (
                  (select position, created_at from ${this.schema}.outbox
                    where outbox.position > l.position order by position limit 1)
                  union all
                  (select late.position, late.created_at
                     from (select span from unnest(l.gaps) as span limit ${MOST_GAPS}) as gap
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
        ...(looks ? [goOn] : []),
      ],
    );
    const [row] = rows;
    if (!row) throw new Error('PostgreSQL answered the poll without a row');
    const { token, pending, parked, anyParked, jobs, late, lastAction, incidents, unpublished } = row;
    this.sequenceReadable = row.lastReadable;
    since.parked = parked ?? late;
    for (const queue of queues) since.jobs[queue] = jobs?.[queue] ?? late;
    const answer = {
      due: {
        parked: parked !== null,
        anyParked,
        jobs: jobs !== null,
        lastAction: lastAction ?? undefined,
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
   * SQL that records progress in the lease row, unless another has published meanwhile, the log is another, or the sequence has
   * not come that far: then the progress is of the past. The values name parameters of the statement, whose $1 is the holder.
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

  /** Reports an incident from the relay's own connection. */
  async report(incident: Pick<Incident, 'kind' | 'subject' | 'problem' | 'detail'>): Promise<void> {
    const { text, values } = reportIncident(this.options.schema, incident);
    await this.query(text, values);
  }

  /**
   * Gives parked messages positions before every one that the log will use again, in their order: a message that is parked
   * later at the position of an older one would be taken for it and lost. Repeating it changes nothing else.
   */
  async moveParkedBack(): Promise<void> {
    const { rows } = await this.query<{ first: string | null; shift: string }>(
      `select min(position) as first, greatest(max(position), 0) - least(min(position), 1) + 1 as shift
         from ${this.schema}.outbox_parked`,
    );
    const { first, shift } = rows[0] ?? { first: null, shift: '0' };
    if (first === null) return;
    // In pieces, each well within the time limit of a statement. What was moved lies before the first.
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

  /** Parks what is left from before the log went back of types that cannot be published: they come first once they can. */
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
   * The oldest messages beyond the cursor or in its gaps, in the order of their positions, as many as `bytes` allow but at
   * least one. Both in one statement, so in one snapshot: a message seen beyond the cursor, while an earlier one of its key
   * was not yet visible in a gap, would overtake it (P3). Served by the primary key, as long as `few` tells whether most of
   * the log is behind the cursor. Messages of a waiting type come without their payload: they are passed, not sent.
   *
   * Finds nothing where the log is not at `place`, or its sequence stands before the cursor: the next poll tells why, and
   * until then new messages may be taken for later ones than they are.
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
        : // Lateral and limited: a scan of the index for each gap, never one of the table.
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

    // The locks are read after the snapshot was taken: who holds its lock then had not ended in the snapshot.
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
   * The oldest messages of an aggregate type from `from` on that the cursor has passed, as many as `bytes` allow but at least
   * one. A walk along the primary key takes in at most `look` messages of any type; `upTo` is where it ended. What is in a
   * gap of the cursor, a later reading finds there. `inPlace` is false where the log is not at `place`, or its sequence stands
   * before the cursor: then the rows mean nothing.
   */
  async readWaiting(
    aggregatetype: string,
    from: number,
    cursor: Cursor,
    { limit, bytes, look, place }: { limit: number; bytes: number; look: number; place?: string | undefined },
  ): Promise<{ rows: OutboxRow[]; upTo: number; inPlace: boolean }> {
    // Removed rows stay in the index for as long as an old transaction is open: see `removeOld`.
    const end = Math.min(cursor.position, from + LOOK_POSITIONS);
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
      [aggregatetype, from, end, multirange(cursor.gaps), limit, look, bytes, place, cursor.position],
    );
    const [first] = rows;
    if (!first) throw new Error('PostgreSQL answered the reading without a row');
    return { rows: first.id === null ? [] : rows, upTo: Number(first.upTo), inPlace: first.inPlace };
  }

  private sequenceHasPassed(position: string): string {
    // Cheaper than a look into the sequence as a table; null where nothing was drawn since it was set.
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

  /** The transactions, prepared ones included, that may fill a gap: they hold the lock that every writer takes first. */
  async openWriters(): Promise<string[]> {
    const { rows } = await this.query<{ writer: string }>(
      `select distinct virtualtransaction as writer from pg_locks where ${this.isWriter}`,
    );
    return rows.map(({ writer }) => writer);
  }

  /** Of these transactions, the one that began first, for a person to find it. */
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

  /** SQL for a row of pg_locks: it lets its transaction write to the outbox. */
  private get isWriter(): string {
    return `locktype = 'relation' and mode = 'RowExclusiveLock' and granted
            and database = (select oid from pg_database where datname = current_database())
            and relation = ${this.relations.outbox}`;
  }

  /** Sets messages aside: the dead letter, or what waits behind it in its key. Repeating it changes nothing. */
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

  /** The keys with parked messages, and of each the positions of the first dead letter and of the first that waits. */
  async parkedKeys(): Promise<ParkedKey[]> {
    const { rows } = await this.query<AggregateKey & { dead: string | null; waiting: string | null }>(
      `select aggregatetype, aggregateid, min(position) filter (where dead_at is not null) as dead,
              min(position) filter (where dead_at is null) as waiting
         from ${this.schema}.outbox_parked group by aggregatetype, aggregateid`,
    );
    return rows.map((key) => ({ ...key, dead: Number(key.dead ?? NaN), waiting: Number(key.waiting ?? NaN) }));
  }

  /** The oldest messages that wait parked of a key, in order, before a position if one is given. Served by outbox_parked_key. */
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

  async killParked(row: OutboxRow, error: string): Promise<void> {
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
   * Looks at the `limit` first published messages beyond `after`, and removes those that are older than `retentionMs`. Row locks
   * only, on rows that nobody writes: no writer waits for it.
   *
   * What is removed stays in the index for as long as any old transaction is open (P6), and a look that began at the front would
   * walk over all of it: 2.2 s for two million, where a statement of 3 s costs the connection. So the next look begins where
   * this one ends, and none takes in more than so many positions, dead or alive. It ends before the first message that was kept:
   * by the clock that may be younger than a later one, and it would be passed for good. Where the log is not at `place`, nothing
   * is removed.
   */
  async removeOld(after: number, cursor: Cursor, retentionMs: number, limit: number, place?: string): Promise<Removal> {
    const end = cursor.gaps[0]?.from ?? cursor.position + 1;
    const before = Math.min(end, after + LOOK_POSITIONS);
    // Those of a waiting type are passed: they stay until they are published.
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
    if (!row) throw new Error('PostgreSQL answered the removal without a row');
    const { count, waiting } = row;
    const upTo = Number(row.upTo);
    return { count, upTo, more: count + waiting === limit || (upTo === before - 1 && before < end) };
  }

  /** Reaches the relays of every process. Sent outside any transaction: inside one it would serialise all commits. */
  async notify(notice: OutboxNotice): Promise<void> {
    // A notice commits like a write. It need not survive a crash, so it does not wait for the disk.
    await this.query(`select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`, [
      channelOf(this.options.schema),
      notice,
    ]);
  }

  /**
   * Sends a notice from another connection, for this one to hear: a pooler, or a connection that is half dead, swallows
   * notices silently, and lets through those that a connection sends to itself.
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

  /** One statement after another: the lease is renewed while a batch is read or sent. */
  private query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<pg.QueryResult<Row>> {
    const result = this.last.then(async () => {
      if (this.closed) throw new Error('the connection was closed');
      try {
        return await this.client.query<Row>(text, values);
      } catch (error) {
        // The server would go on with a statement that waits for a lock after we have given it up: a reconnection a
        // second would leave a session each.
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

/** By how much a clock is ahead that was read between two moments of ours: 0 when it may have been at one of them. */
function beyondRoundTrip(theirs: number, sentAt: number, answeredAt: number): number {
  if (theirs > answeredAt) return theirs - answeredAt;
  return Math.min(0, theirs - sentAt);
}

/** Whether the row has these gaps already, and need not be sent them again: they may be many. */
function isRecorded({ gaps, waiting }: Cursor, known: KnownLease | undefined): boolean {
  return waiting.size === 0 && known?.progress.waiting.size === 0 && gaps === known.progress.gaps;
}

/** Whether the server has answered, and refused a statement: the connection is there. One that ends afterwards tells so itself. */
export function isAnswer(error: unknown): boolean {
  return error instanceof pg.DatabaseError;
}

export function channelOf(schema: string): string {
  return `${schema}_outbox`;
}

async function connected(options: StoreOptions, onLost: (error: Error) => void): Promise<pg.Client> {
  const client = newClient(options);
  // Before connect: a connection that breaks early must not become an uncaught 'error' event.
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

/** PostgreSQL's cancel request: a connection of its own that names the backend, and works through a pooler too. */
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

/** pg has no public way to drop a connection whose server is silent (`end` would wait for it), nor to cancel a statement. */
function innerConnection(client: pg.Client): InnerConnection {
  return (client as unknown as { connection: InnerConnection }).connection;
}
