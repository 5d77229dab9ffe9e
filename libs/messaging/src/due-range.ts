import { quoteIdentifier } from './schema.js';
import { pause } from './waiting.js';

/** Of a table of this size a look takes in everything, dead rows included. */
const SMALL_BYTES = 1024 * 1024;

/**
 * How old a time may be when it is committed, and still be found by the next look: it is taken from the clock a little before.
 * What is older is a stray, which a slower look along the table's blocks finds.
 */
export const LATE = `statement_timestamp() - interval '10 s'`;

/** The smallest uuid. */
export const NIL = '00000000-0000-0000-0000-000000000000';

/** Blocks of a table that one statement looks at. */
export const SLICE_BLOCKS = 128;
/** Looking for strays takes this part of the time at most. */
const STRAYS_SHARE = 0.2;

/** What one look for strays came to. */
export interface Strays {
  readonly woken: number;
  /** The block to go on with, if there is one. */
  readonly next: number | undefined;
}

/** Where the looks of this process for what is due begin: nothing is due before these times, as the database writes them. */
export interface DueSince {
  parked: string | null;
  /** By queue. */
  jobs: Record<string, string>;
}

/**
 * SQL for the time at which a look for what is due begins, in a table that may be full of dead rows. What was due stays in the
 * index for as long as any old transaction is open (P6), and a look that began at the front would walk over all of it. So each
 * look begins at the first row that the last one found, or close to now if it found none. A small table is looked at whole.
 */
export function dueSince(schema: string, table: string, since: string): string {
  return `case when (select pg_relation_size(${regclass(schema, table)})) <= ${SMALL_BYTES} then timestamptz '-infinity'
               else least(${since}, ${LATE}) end`;
}

/** The number of blocks of a table, in SQL. */
export function blocksOf(schema: string, table: string): string {
  return `(pg_relation_size(${regclass(schema, table)}) / current_setting('block_size')::int)::int`;
}

function regclass(schema: string, table: string): string {
  return `'${quoteIdentifier(schema).replaceAll(`'`, `''`)}.${table}'::regclass`;
}

/** Goes through a table slice by slice. @throws what `look` throws */
export async function seekStrays(
  look: (block: number) => Promise<Strays>,
  onWoken: () => void,
  stopping: AbortSignal,
): Promise<void> {
  for (let block: number | undefined = 0; block !== undefined && !stopping.aborted;) {
    const begunAt = performance.now();
    const { woken, next }: Strays = await look(block);
    if (woken > 0) onWoken();
    block = next;
    if (next !== undefined) await pause((performance.now() - begunAt) * (1 / STRAYS_SHARE - 1), stopping);
  }
}
