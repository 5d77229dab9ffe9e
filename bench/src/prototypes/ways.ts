import type pg from 'pg';
import { COLUMNS, one, type Row, type Send } from './outbox-table.js';

/** A way to know what is published. Its calls come one after another. */
export interface Way {
  read(limit: number): Promise<Row[]>;
  /** Kafka has what the oldest unrecorded `read` gave. */
  record(rows: readonly Row[]): Promise<void>;
  /** Once a second. */
  poll(): Promise<void>;
}

/** What is published is deleted: what is left is at the left edge of the primary key. */
export class DeleteWay implements Way {
  constructor(private readonly sql: pg.ClientBase) {}

  async read(limit: number): Promise<Row[]> {
    return (await this.sql.query<Row>(`select ${COLUMNS} from proto.outbox order by position limit $1`, [limit])).rows;
  }

  async record(rows: readonly Row[]): Promise<void> {
    await this.sql.query('delete from proto.outbox where position = any($1::bigint[])', [rows.map((r) => r.position)]);
  }

  async poll(): Promise<void> {
    await this.sql.query('select exists (select from proto.outbox)');
  }
}

/** Loses what commits late: only here to show that the test of the others can fail. */
export class NaiveWay implements Way {
  private cursor = '0';
  constructor(private readonly sql: pg.ClientBase) {}

  async read(limit: number): Promise<Row[]> {
    const { rows } = await this.sql.query<Row>(
      `select ${COLUMNS} from proto.outbox where position > $1 order by position limit $2`,
      [this.cursor, limit],
    );
    this.cursor = rows.at(-1)?.position ?? this.cursor;
    return rows;
  }

  async record(): Promise<void> {}
  async poll(): Promise<void> {}
}

/** Positions `from` up to, not including, `to` that were not there when the cursor passed them. */
export interface Gap {
  readonly from: number;
  readonly to: number;
  /** The transactions that can still fill it; undefined until a poll has asked, empty when all have ended. */
  readonly writers: ReadonlySet<string> | undefined;
}

interface Progress {
  readonly cursor: number;
  readonly gaps: readonly Gap[];
}

const SAVE_EVERY = 5000;
const PURGE_ROWS = 5000;

/** What is published stays, below a cursor; what was missing below the cursor is looked up again until nobody can fill it. */
export class LogWay implements Way {
  private current: Progress = { cursor: 0, gaps: [] };
  private recorded = this.current;
  private readonly unrecorded: Progress[] = [];
  private unsaved = 0;
  private leftEdge = 0;

  constructor(private readonly sql: pg.ClientBase) {}

  get gaps(): readonly Gap[] {
    return this.current.gaps;
  }

  async read(limit: number): Promise<Row[]> {
    // One statement, one snapshot: a fresh row is never seen without the late one of its key that was committed before it.
    const { rows } = await this.sql.query<Row>(
      `(select ${COLUMNS} from proto.outbox where position > $1 order by position limit $3)
       union all
       (select late.* from unnest($2::int8multirange) as gap
          cross join lateral (select ${COLUMNS} from proto.outbox
             where position >= lower(gap) and position < upper(gap) order by position limit $3) as late)
       order by position limit $3`,
      [this.current.cursor, multirange(this.current.gaps), limit],
    );
    this.current = afterReading(
      this.current,
      rows.map((row) => Number(row.position)),
      rows.length === limit,
    );
    this.unrecorded.push(this.current);
    if (rows.length === 0) await this.record(rows);
    return rows;
  }

  async record(rows: readonly Row[]): Promise<void> {
    this.recorded = this.unrecorded.shift() ?? this.recorded;
    this.unsaved += rows.length;
    if (this.unsaved >= SAVE_EVERY) await this.save();
  }

  async poll(): Promise<void> {
    await this.save();
    if (this.current.gaps.length === 0) return;
    // A writer takes this lock before it draws a position, and lets it go when its rows are visible or rolled back.
    const holders = await one<string[]>(
      this.sql,
      `select coalesce(array_agg(virtualtransaction), '{}') as value from pg_locks
        where locktype = 'relation' and mode = 'RowExclusiveLock' and granted and relation = 'proto.outbox'::regclass
          and database = (select oid from pg_database where datname = current_database())`,
    );
    this.current = afterPoll(this.current, new Set(holders));
  }

  private async save(): Promise<void> {
    this.unsaved = 0;
    await this.sql.query('update proto.progress set position = $1, gaps = $2', [
      this.recorded.cursor,
      multirange(this.recorded.gaps),
    ]);
  }

  /** Deletes one chunk of what is published. The left edge is remembered: behind it lie index entries of deleted rows. */
  async purge(sql: pg.ClientBase): Promise<number> {
    const below = Math.min(this.recorded.cursor + 1, ...this.recorded.gaps.map(({ from }) => from));
    const { rows } = await sql.query<{ last: string | null; n: string }>(
      `with gone as (
         delete from proto.outbox where position >= $1 and position < $2 and position <=
           (select max(position) from
             (select position from proto.outbox where position >= $1 and position < $2 order by position limit $3) as chunk)
         returning position)
       select max(position) as last, count(*) as n from gone`,
      [this.leftEdge, below, PURGE_ROWS],
    );
    if (rows[0]?.last) this.leftEdge = Number(rows[0].last) + 1;
    return Number(rows[0]?.n);
  }
}

function afterReading({ cursor, gaps }: Progress, positions: readonly number[], full: boolean): Progress {
  const lookedUpTo = full ? (positions.at(-1) ?? 0) : Infinity;
  const late = positions.filter((position) => position <= cursor);
  let i = 0;
  const left: Gap[] = [];
  for (const gap of gaps) {
    // Nobody could fill it when this reading began, and this reading has looked at all of it.
    const over = gap.writers?.size === 0 && gap.to - 1 <= lookedUpTo;
    let from = gap.from;
    for (let p = late[i]; p !== undefined && p < gap.to; p = late[++i]) {
      if (!over && p > from) left.push({ ...gap, from, to: p });
      from = p + 1;
    }
    if (!over && from < gap.to) left.push({ ...gap, from });
  }
  let last = cursor;
  for (const position of positions.slice(late.length)) {
    if (position > last + 1) left.push({ from: last + 1, to: position, writers: undefined });
    last = position;
  }
  return { cursor: last, gaps: left };
}

function afterPoll({ cursor, gaps }: Progress, holders: ReadonlySet<string>): Progress {
  // PREPARE TRANSACTION hands the lock to a new owner, "-1/…": who is gone may live on as any of these.
  const prepared = [...holders].filter((holder) => holder.startsWith('-1/'));
  return {
    cursor,
    gaps: gaps.map((gap) => ({
      ...gap,
      writers: gap.writers
        ? new Set([...[...gap.writers].filter((writer) => holders.has(writer)), ...prepared])
        : holders,
    })),
  };
}

const multirange = (gaps: readonly Gap[]) => `{${gaps.map(({ from, to }) => `[${from},${to})`).join(',')}}`;

export interface RelayOptions {
  /** Read the next batch while this one is sent: only a way that need not delete first can. */
  readonly ahead?: boolean;
  /** The least time from one reading to the next, unless the batch was full: what is committed meanwhile goes in one batch. */
  readonly everyMs?: number;
  readonly onBatch?: (rows: readonly Row[], readMs: number) => void | Promise<void>;
  /** Asked when nothing is left. */
  readonly goOn?: () => boolean;
}

/** The loop of a relay. */
export async function relay(
  way: Way,
  send: Send,
  { ahead = false, everyMs = 0, onBatch, goOn }: RelayOptions = {},
): Promise<void> {
  let polledAt = -Infinity;
  const next = async () => {
    if (performance.now() - polledAt > 1000) {
      polledAt = performance.now();
      await way.poll();
    }
    const began = performance.now();
    const rows = await way.read(1000);
    return { rows, readMs: performance.now() - began };
  };
  let readAt = performance.now();
  let batch = await next();
  for (;;) {
    const { rows, readMs } = batch;
    if (rows.length === 0) {
      if (!goOn?.()) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
      batch = await next();
      continue;
    }
    const [following] = await Promise.all([ahead ? next() : undefined, send(rows)]);
    await way.record(rows);
    await onBatch?.(rows, readMs);
    const waitMs = readAt + everyMs - performance.now();
    if (rows.length < 1000 && waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    readAt = performance.now();
    batch = following ?? (await next());
  }
}
