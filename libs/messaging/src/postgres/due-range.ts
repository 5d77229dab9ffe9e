import { quoteIdentifier } from './schema.js';
import { pause } from '../waiting.js';

/** Up to this size, a search reads the whole table, dead rows included. */
const SMALL_BYTES = 1024 * 1024;

/**
 * How far in the past a due time may lie when it is committed and still be found by the next search, since a due time is taken
 * from the clock shortly before the commit. A row with an older time is a stray, which a slower scan of the table's blocks finds.
 */
export const LATE = `statement_timestamp() - interval '10 s'`;

/** The smallest uuid. */
export const NIL = '00000000-0000-0000-0000-000000000000';

/** The number of table blocks that one statement scans. */
export const SLICE_BLOCKS = 128;
/** The largest share of the time that is spent on looking for strays. */
const STRAYS_SHARE = 0.2;

/** The result of one search for strays. */
export interface Strays {
  readonly woken: number;
  /** The block to continue with; undefined at the end of the table. */
  readonly next: number | undefined;
}

/** The due times at which this process's searches start, as the database formats them. Nothing is due before them. */
export interface DueSince {
  parked: string | null;
  /** By queue. */
  jobs: Record<string, string>;
}

/**
 * Returns SQL for the due time at which a search starts, in a table that may be full of dead rows. Processed rows stay in the
 * index for as long as any old transaction is open (P6), and a search from the beginning would walk over all of them. So each
 * search starts at the first row that the previous one found, or close to now if it found none. A small table is read completely.
 */
export function dueSince(schema: string, table: string, since: string): string {
  return `case when (select pg_relation_size(${regclass(schema, table)})) <= ${SMALL_BYTES} then timestamptz '-infinity'
               else least(${since}, ${LATE}) end`;
}

/** Returns SQL for the number of blocks of a table. */
export function blocksOf(schema: string, table: string): string {
  return `(pg_relation_size(${regclass(schema, table)}) / current_setting('block_size')::int)::int`;
}

function regclass(schema: string, table: string): string {
  return `'${quoteIdentifier(schema).replaceAll(`'`, `''`)}.${table}'::regclass`;
}

/** Scans a table slice by slice. @throws what `scanSlice` throws */
export async function seekStrays(
  scanSlice: (block: number) => Promise<Strays>,
  onWoken: () => void,
  stopping: AbortSignal,
): Promise<void> {
  for (let block: number | undefined = 0; block !== undefined && !stopping.aborted;) {
    const begunAt = performance.now();
    const { woken, next }: Strays = await scanSlice(block);
    if (woken > 0) onWoken();
    block = next;
    if (next !== undefined) await pause((performance.now() - begunAt) * (1 / STRAYS_SHARE - 1), stopping);
  }
}
