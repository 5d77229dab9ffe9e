/** The part of an error's text that its cause is made of, so that grouping costs at most 0.2 ms a letter. */
const COMPARED = 300;

/** Quoted values. A quote after a letter is an apostrophe. A value may have been cut off. */
const QUOTED = `"[^"]*("|$)|(?<!\\w)'[^']*('|$)|\`[^\`]*(\`|$)`;
/** UUIDs, other hexadecimal numbers, and every word with a digit in it, such as an id, a time, an address or an amount. */
const IDS = `[[:<:]]([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8,}|\\w*\\d\\w*([.,:+-]\\w*\\d\\w*)*)[[:>:]]`;

/**
 * Returns the SQL of the cause of an error: the beginning of its text with `…` for quoted values and `#` for ids and numbers. Errors that
 * differ in these only have one cause. No index serves it, so a statement must first choose the letters by something else.
 */
export function causeOf(error: string): string {
  return `regexp_replace(regexp_replace(left(${error}, ${COMPARED}), ${literal(QUOTED)}, '…', 'g'), ${literal(IDS)}, '#', 'gi')`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Dead letters or dead jobs that died of the same cause. */
export interface CauseGroup {
  /** The error text with `…` for quoted values and `#` for ids and numbers, cut to its first 300 characters. A filter takes it unchanged. */
  readonly cause: string;
  readonly count: number;
  /** When the first and the last of them died. */
  readonly oldest: Date;
  readonly newest: Date;
  /** The event types of the letters, or the queues of the jobs, in alphabetical order; null for letters without a type. */
  readonly types: readonly (string | null)[];
}

/** Causes, the most frequent first. */
export interface Causes {
  readonly items: readonly CauseGroup[];
  /** False if there are more than 10,000 matching letters or more than 100 causes. The newest letters are counted. */
  readonly complete: boolean;
}

const MAX_LETTERS = 10_000;
const MAX_GROUPS = 100;

/** Returns the statement that groups rows by their cause. `rows` selects `error`, `type` and `dead_at` of the newest first. */
export function groupedByCause(rows: string): string {
  return `with newest as materialized (${rows} limit ${MAX_LETTERS + 1}),
    counted as (select ${causeOf('error')} as cause, type, dead_at from newest limit ${MAX_LETTERS})
    select cause, count(*)::int as count, min(dead_at) as oldest, max(dead_at) as newest,
           array_agg(distinct type order by type) as types, (select count(*)::int from newest) as looked
      from counted group by cause order by count desc, cause limit ${MAX_GROUPS + 1}`;
}

export function toCauses(rows: readonly (CauseGroup & { readonly looked: number })[]): Causes {
  const items = rows.slice(0, MAX_GROUPS).map(({ looked: _, ...group }) => group);
  return { items, complete: rows.length <= MAX_GROUPS && (rows[0]?.looked ?? 0) <= MAX_LETTERS };
}
