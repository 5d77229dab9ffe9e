import { type DataSource, type EntityManager } from 'typeorm';
import { CauseCount, type CauseGroup, causeOf, type Causes, hasCause } from './cause.js';
import { type Chunk, type LetterCursor, type LetterPlace, type Listed, type ListPage } from './letter-store.js';
import { microsOf, timeOf } from '../postgres/micros.js';

/**
 * How many rows one statement looks at, so that it takes a fraction of a service's statement timeout (1.2 s), however many rows there are
 * and however few match. Computing causes costs up to 0.2 ms a row.
 */
const STRETCH = 5000;
const CAUSES_STRETCH = 2000;
/** How many stretches without a full page one call of a list looks at. */
const MAX_STRETCHES = 20;
/** How many rows a count looks at, with a cause and without one. */
const MAX_COMPARED = 20_000;
const MAX_PREVIEWED = 100_000;
/** `causes` stops after so many matching rows, or so many stretches. */
const MAX_COUNTED = 10_000;
const MAX_CAUSES_STRETCHES = 50;

/** A table with dead rows. In its SQL, `p` is the table. */
export interface DeadTable {
  readonly table: string;
  readonly id: string;
  readonly idType: 'bigint' | 'uuid';
  /** A condition on all rows that its index by id has. */
  readonly indexed: string;
  /** The column with the type of a message or the queue of a job. */
  readonly type: string;
  /** The condition for {@link Chosen.others}, whose parameters are `$5` and so on. */
  readonly others: string;
  /** The number of these parameters. */
  readonly otherCount: number;
}

/** The values of a filter. */
export interface Chosen {
  readonly ids: readonly string[] | undefined;
  readonly diedAfter: Date | undefined;
  readonly diedBefore: Date | string | undefined;
  readonly cause: string | undefined;
  readonly others: readonly unknown[];
}

/** A stretch along (dead_at, id). */
interface DeathStretch {
  /** The condition on its rows, with four parameters from `n` on and their values. */
  readonly condition: string;
  readonly values: readonly unknown[];
  /** Where the next stretch begins; undefined for the last one. */
  readonly next: LetterPlace | undefined;
  /** How many stretches there were, with this one. */
  readonly nth: number;
}

/**
 * The SQL that finds the dead rows of a table. No index serves most filters, so each statement looks at one stretch of an index: that of
 * the ids for changes, or (dead_at, id) for lists. Searches go on from stretch to stretch.
 */
export class DeadRows {
  private readonly isChosen: string;
  private readonly matches: string;
  /** The number of the first parameter after those of the filter. */
  private readonly n: number;

  constructor(private readonly of: DeadTable) {
    this.isChosen = `p.dead_at is not null
      and ($1::${of.idType}[] is null or p.${of.id} = any($1))
      and ($2::timestamptz is null or p.dead_at >= $2)
      and ($3::timestamptz is null or p.dead_at < $3)`;
    // The planner knows the parameters, so it drops the filters not given.
    this.matches = `${this.isChosen} and ${of.others} and ($4::text is null or ${hasCause('p.error', '$4')})`;
    this.n = 5 + of.otherCount;
  }

  /** Returns the next matching rows in the order of their ids: at most `limit`, and perhaps none although there are more. */
  async next(
    db: DataSource | EntityManager,
    chosen: Chosen,
    after: LetterCursor | undefined,
    limit: number,
  ): Promise<Chunk> {
    const { of, n } = this;
    const stretch = stretchOf(chosen);
    const [row]: Stretch[] = await db.query(
      `${this.stretch(stretch)}
       select looked, last::text as last,
              array(select p.${of.id}::text from ${of.table} p where ${this.matchesInStretch} order by p.${of.id} limit $${n + 1}) as ids
         from edge`,
      [...valuesOf(chosen), after?.[0] ?? null, limit],
    );
    const ids = row?.ids ?? [];
    const last = ids.length === limit ? ids.at(-1) : row?.last;
    const more = ids.length === limit || row?.looked === stretch;
    return { ids, after: last === undefined || last === null ? after : [last], more };
  }

  /** Counts the matching rows among the first ones in the order of their ids, and returns the first ids. */
  async count(
    db: DataSource,
    chosen: Chosen,
    limit: number,
  ): Promise<{ total: number; isExact: boolean; first: string[] }> {
    const { of, n } = this;
    const stretch = stretchOf(chosen);
    const atMost = chosen.cause === undefined ? MAX_PREVIEWED : MAX_COMPARED;
    const first: string[] = [];
    let [total, after] = [0, null as string | null];
    for (let looked = 0; looked < atMost; looked += stretch) {
      const [row]: (Stretch & { found: number })[] = await db.query(
        `${this.stretch(stretch)},
         matching as materialized (select p.${of.id} as id from edge, ${of.table} p where ${this.matchesInStretch})
         select looked, last::text as last, (select count(*)::int from matching) as found,
                array(select id::text from matching order by id limit $${n + 1}) as ids
           from edge`,
        [...valuesOf(chosen), after, limit - first.length],
      );
      if (!row) return { total, isExact: true, first };
      total += row.found;
      first.push(...row.ids);
      after = row.last;
      if (row.looked < stretch) return { total, isExact: true, first };
    }
    return { total, isExact: false, first };
  }

  /** Lists matching rows by time of death. */
  async list<Row>(db: DataSource, columns: string, chosen: Chosen, page: ListPage): Promise<Listed<Row>> {
    const { of, n } = this;
    const order = page.oldestFirst ? 'asc' : 'desc';
    const rows: (Row & LetterPlace)[] = [];
    for await (const { condition, values, next, nth } of this.stretchesByDeath(db, chosen, page, stretchOf(chosen))) {
      const more: (Row & LetterPlace)[] = await db.query(
        `select ${columns}, ${microsOf('p.dead_at')} as "diedAtMicros" from ${of.table} p
          where ${this.matches} and ${condition}
          order by p.dead_at ${order}, p.${of.id} ${order} limit $${n + 4}`,
        [...valuesOf(chosen), ...values, page.limit - rows.length],
      );
      rows.push(...more);
      if (rows.length === page.limit) break;
      if (next && nth === MAX_STRETCHES) return { rows, lookedUpTo: next };
    }
    return { rows };
  }

  /** Groups the newest matching rows by cause. */
  async causes(db: DataSource, chosen: Chosen): Promise<Causes> {
    const count = new CauseCount();
    const newestFirst = { oldestFirst: false };
    for await (const stretch of this.stretchesByDeath(db, chosen, newestFirst, CAUSES_STRETCH)) {
      const { condition, values, next, nth } = stretch;
      const groups: CauseGroup[] = await db.query(
        `select cause, count(*)::int as count, min(dead_at) as oldest, max(dead_at) as newest, array_agg(distinct type) as types
           from (select ${causeOf('p.error')} as cause, p.${this.of.type} as type, p.dead_at
                   from ${this.of.table} p where ${this.matches} and ${condition}) as dead
          group by cause`,
        [...valuesOf(chosen), ...values],
      );
      count.add(groups);
      if (next && (count.total >= MAX_COUNTED || nth === MAX_CAUSES_STRETCHES)) return count.causes(false);
    }
    return count.causes(true);
  }

  /** Returns the matching ones of these rows, in the order of their ids. With `for update`, locks them until the transaction ends. */
  async those<Row>(
    db: DataSource | EntityManager,
    columns: string,
    chosen: Chosen,
    lock: '' | 'for update' = '',
  ): Promise<Row[]> {
    // Served by the index of the ids.
    const { table, id } = this.of;
    return db.query(
      `select ${columns} from ${table} p where ${this.matches} order by p.${id} ${lock}`,
      valuesOf(chosen),
    );
  }

  /** The beginning of a statement on a stretch along the index of the ids, which begins after the parameter n. */
  private stretch(limit: number): string {
    const { table, id, idType, indexed } = this.of;
    return `with stretch as materialized (
         select p.${id} as id from ${table} p
          where ${indexed} and ($1::${idType}[] is null or p.${id} = any($1)) and ($${this.n}::${idType} is null or p.${id} > $${this.n})
          order by p.${id} limit ${limit}),
       edge as materialized (
         select (select count(*)::int from stretch) as looked, (select id from stretch order by id desc limit 1) as last)`;
  }

  private get matchesInStretch(): string {
    const { id } = this.of;
    return `${this.matches} and ($${this.n} is null or p.${id} > $${this.n}) and p.${id} <= edge.last`;
  }

  /** Yields one stretch along (dead_at, id) after the other, of `limit` rows each. */
  private async *stretchesByDeath(
    db: DataSource,
    chosen: Chosen,
    { oldestFirst, after: begin }: Omit<ListPage, 'limit'>,
    limit: number,
  ): AsyncGenerator<DeathStretch> {
    const { of, n } = this;
    const place = (first: number) => `(${timeOf(`$${first}`)}, $${first + 1}::${of.idType})`;
    const [order, back] = oldestFirst ? ['asc', 'desc'] : ['desc', 'asc'];
    const beyond = (first: number) =>
      `($${first}::bigint is null or (p.dead_at, p.${of.id}) ${oldestFirst ? '>' : '<'} ${place(first)})`;
    const condition = `${beyond(n)} and (p.dead_at, p.${of.id}) ${oldestFirst ? '<=' : '>='} ${place(n + 2)}`;
    let after = begin;
    for (let nth = 1; ; nth++) {
      const from = [after?.diedAtMicros ?? null, after?.id ?? null];
      const [last]: (LetterPlace & { looked: number })[] = await db.query(
        `with stretch as materialized (
           select p.dead_at, p.${of.id} as id from ${of.table} p
            where ${this.isChosen} and ${beyond(4)} order by p.dead_at ${order}, p.${of.id} ${order} limit ${limit})
         select (select count(*)::int from stretch) as looked, ${microsOf('dead_at')} as "diedAtMicros", id::text as id
           from stretch order by dead_at ${back}, id ${back} limit 1`,
        [...valuesOf(chosen).slice(0, 3), ...from],
      );
      if (!last) return;
      const next = last.looked < limit ? undefined : last;
      yield { condition, values: [...from, last.diedAtMicros, last.id], next, nth };
      if (!next) return;
      after = next;
    }
  }
}

interface Stretch {
  readonly looked: number;
  readonly last: string | null;
  readonly ids: readonly string[];
}

function stretchOf({ cause }: Chosen): number {
  return cause === undefined ? STRETCH : CAUSES_STRETCH;
}

function valuesOf({ ids, diedAfter, diedBefore, cause, others }: Chosen): unknown[] {
  return [ids, diedAfter, diedBefore, cause, ...others].map((value) => value ?? null);
}
