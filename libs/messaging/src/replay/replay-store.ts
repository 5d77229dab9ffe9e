import { type DataSource, type EntityManager } from 'typeorm';
import { type Cursor, multirange } from '../log/cursor.js';
import { cursorOf } from '../log/lease-progress.js';
import { type OutboxRow } from '../message/message.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { COLUMNS, OUT, RECORD_OVERHEAD_BYTES } from '../relay/outbox-columns.js';
import { type ReplayFilter } from './replay-filter.js';

/** How many messages one statement looks at. Takes about 30 ms, which keeps it far from any time limit of a statement. */
const MAX_SCANNED_ROWS = 20_000;
/** How many messages a count looks at. Takes about 0.8 s. */
const MAX_LOOKED_ROWS = 25 * MAX_SCANNED_ROWS;
/** How many messages are counted at most. */
const MAX_COUNTED = 100_000;
const READ_BYTES = 4 * 1024 * 1024;
/** How far the order of positions may differ from that of times, because the database's clock was set back. */
const CLOCK_MARGIN = `interval '10 min'`;
/** The highest position that JavaScript represents exactly. */
const LAST_POSITION = Number.MAX_SAFE_INTEGER;

type Db = DataSource | EntityManager;

/** Which messages are looked at. */
export interface ReplayRange {
  readonly filter: ReplayFilter;
  /** Only messages from before this time. */
  readonly asOf: string;
  /** What the relay has published, as the lease row records it. */
  readonly published: Cursor;
  /** The lowest and the highest position that can match. */
  readonly from: number;
  readonly to: number;
}

/** A message as an operator sees it, without its payload. */
export interface ReplayItem {
  readonly position: string;
  readonly id: string;
  readonly type: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly createdAt: string;
}

/** What a range contains. */
export interface ReplayCount {
  readonly total: number;
  /** False if there may be more, because too many messages were found or looked at. */
  readonly totalIsExact: boolean;
  readonly first: readonly ReplayItem[];
  /** By aggregate type, when the oldest of the counted messages was added. */
  readonly oldest: ReadonlyMap<string, Date>;
}

/** The SQL of replays. Served by outbox_pkey, or by outbox_aggregate for one aggregate; parked messages by outbox_parked_pkey. */
export class ReplayStore {
  private readonly s: string;

  constructor(schema: string) {
    this.s = quoteIdentifier(schema);
  }

  /** Finds the positions that may match. With times, by a binary search over the positions, which are in the order of the times. */
  async rangeOf(db: Db, filter: ReplayFilter, asOf: string): Promise<ReplayRange> {
    const published = await this.published(db);
    const { createdAfter, createdBefore, fromPosition, toPosition } = filter;
    const from = createdAfter === undefined ? 1 : await this.positionAt(db, createdAfter, `- ${CLOCK_MARGIN}`);
    const to =
      createdBefore === undefined ? LAST_POSITION : await this.positionAt(db, createdBefore, `+ ${CLOCK_MARGIN}`);
    return {
      filter,
      asOf,
      published,
      from: Math.max(from, Number(fromPosition ?? 1)),
      to: Math.min(to, Number(toPosition ?? LAST_POSITION), published.position),
    };
  }

  /** Counts the matching messages, a bounded number with each statement and in total. */
  async count(db: Db, range: ReplayRange, show: number): Promise<ReplayCount> {
    let total = 0;
    let looked = 0;
    const first: ReplayItem[] = [];
    const oldest = new Map<string, Date>();
    for (let from: number | undefined = range.from; from !== undefined;) {
      const { sql, values } = this.matching({ ...range, from });
      const [chunk]: {
        looked: number;
        last: string | null;
        total: number;
        first: ReplayItem[] | null;
        oldest: Record<string, string> | null;
      }[] = await db.query(
        `with ${sql}
         select (select count(*)::int from looked) as looked, (select max(position)::text from looked) as last,
                (select count(*)::int from matching) as total,
                (select json_agg(json_build_object('position', position::text, 'id', id, 'type', type,
                          'aggregateType', aggregatetype, 'aggregateId', aggregateid, 'createdAt', created_at) order by position)
                   from (select * from matching order by position limit ${show - first.length}) as shown) as first,
                (select json_object_agg(aggregatetype, since)
                   from (select aggregatetype, min(created_at) as since from matching group by aggregatetype) as types) as oldest`,
        values,
      );
      if (!chunk) break;
      total += chunk.total;
      looked += chunk.looked;
      first.push(...(chunk.first ?? []));
      for (const [type, since] of Object.entries(chunk.oldest ?? {}))
        oldest.set(type, new Date(Math.min(Date.parse(since), oldest.get(type)?.getTime() ?? Infinity)));
      from = chunk.looked === MAX_SCANNED_ROWS && chunk.last !== null ? Number(chunk.last) + 1 : undefined;
      if (from !== undefined && (total > MAX_COUNTED || looked >= MAX_LOOKED_ROWS))
        return { total: Math.min(total, MAX_COUNTED), totalIsExact: false, first, oldest };
    }
    return { total, totalIsExact: true, first, oldest };
  }

  /**
   * Reads the next matching messages in the order of their positions, at most `limit`, and as many as a few megabytes allow but at
   * least one. `next` is the position from which to read on; undefined if nothing is left.
   */
  async read(
    db: Db,
    range: ReplayRange,
    limit: number,
  ): Promise<{ readonly rows: readonly OutboxRow[]; readonly next: number | undefined }> {
    const { sql, values } = this.matching(range);
    const [numberOfLimit, numberOfBytes] = [values.push(limit), values.push(READ_BYTES)];
    const found: (OutboxRow & { looked: number; last: string | null; chosen: number })[] = await db.query(
      `with ${sql},
       chosen as materialized (select position from matching order by position limit $${numberOfLimit}),
       measured as materialized (
         select ${COLUMNS}, row_number() over w as nth, sum(octet_length(payload) + ${RECORD_OVERHEAD_BYTES}) over w as bytes
           from ${this.s}.outbox where position = any(array(select position from chosen))
         window w as (order by position)),
       few as (select * from measured where nth = 1 or bytes <= $${numberOfBytes})
       select (select count(*)::int from looked) as looked, (select max(position)::text from looked) as last,
              (select count(*)::int from chosen) as chosen, ${OUT}
         from few right join (values (1)) as one on true order by few.position`,
      values,
    );
    const [head] = found;
    if (!head) throw new Error('PostgreSQL returned no row for the read');
    const rows: readonly OutboxRow[] = found.filter(({ position }) => (position as string | null) !== null);
    const lastRow = rows.at(-1);
    if (lastRow && (rows.length < head.chosen || head.chosen === limit))
      return { rows, next: Number(lastRow.position) + 1 };
    const isCut = head.looked === MAX_SCANNED_ROWS && head.last !== null;
    return { rows, next: isCut ? Number(head.last) + 1 : undefined };
  }

  /** Returns what the relay has published. */
  async published(db: Db): Promise<Cursor> {
    const [row]: { position: string; gaps: string; ahead: Parameters<typeof cursorOf>[2] }[] = await db.query(
      `select position::text, gaps::text, ahead from ${this.s}.relay_lease`,
    );
    if (!row) throw new Error(`${this.s}.relay_lease has no row`);
    return cursorOf(Number(row.position), row.gaps, row.ahead);
  }

  /**
   * Returns the part of a statement that looks at the first messages of the range, as `looked`, and finds those that match, as
   * `matching`: published ones that are not parked in the meantime.
   */
  private matching({ filter, asOf, published, from, to }: ReplayRange): { sql: string; values: unknown[] } {
    const { aggregateId, aggregateType, type, createdAfter, createdBefore } = filter;
    const waiting = [...published.waiting].map(([name, { from: first }]) => ({ name, first }));
    const values: unknown[] = [
      from,
      to,
      multirange(published.gaps),
      waiting.map(({ name }) => name),
      waiting.map(({ first }) => first),
      asOf,
    ];
    const value = (of: unknown) => `$${values.push(of)}`;
    const conditions = [
      ...(aggregateType === undefined ? [] : [`aggregatetype = ${value(aggregateType)}`]),
      ...(type === undefined ? [] : [`type = ${value(type)}`]),
      ...(createdAfter === undefined ? [] : [`created_at >= ${value(createdAfter)}::timestamptz`]),
      ...(createdBefore === undefined ? [] : [`created_at < ${value(createdBefore)}::timestamptz`]),
    ];
    const ofAggregate = aggregateId === undefined ? '' : `aggregateid = ${value(aggregateId)} and`;
    const sql = `looked as materialized (
         select position, id, aggregatetype, aggregateid, type, created_at from ${this.s}.outbox
          where ${ofAggregate} position >= $1 and position <= $2 order by position limit ${MAX_SCANNED_ROWS}),
       matching as materialized (
         select * from looked
          where ${['created_at < $6::timestamptz', ...conditions].join(' and ')}
            and not position <@ $3::int8multirange
            and not exists (select from unnest($4::text[], $5::bigint[]) as waiting (type, first)
                             where waiting.type = looked.aggregatetype and looked.position >= waiting.first)
            and not exists (select from ${this.s}.outbox_parked as parked where parked.position = looked.position))`;
    return { sql, values };
  }

  /** Returns the lowest position from which on messages have been added at that time or later. At most 64 rows are read. */
  private async positionAt(db: Db, time: string, margin: string): Promise<number> {
    const [row]: { position: string | null }[] = await db.query(
      `with recursive search (low, high) as (
         select (select position from ${this.s}.outbox order by position limit 1),
                (select position from ${this.s}.outbox order by position desc limit 1) + 1
         union all
         select case when probe.created_at < $1::timestamptz ${margin} then probe.position + 1 else low end,
                case when probe.created_at < $1::timestamptz ${margin} then high else middle end
           from search
          cross join lateral (select (low + high) / 2 as middle) as half
           left join lateral (
             select position, created_at from ${this.s}.outbox
              where position >= middle and position < high order by position limit 1) as probe on true
          where low < high)
       select low::text as position from search where low >= high`,
      [time],
    );
    return Number(row?.position ?? 1);
  }
}
