import { quoteIdentifier } from './schema.js';

/** How many there are, and for how long the oldest has been there. */
export interface Tally {
  readonly count: number;
  /** 0 without any. */
  readonly oldestSeconds: number;
}

/** What waits for a person: dead letters of both boxes, dead jobs, and the keys that dead letters hold. */
export interface Attention {
  readonly deadLetters: Tally;
  readonly deadJobs: Tally;
  readonly heldKeys: Tally;
}

/** Bounds the rows that are counted of each table: the oldest dead letters, and any dead jobs. */
const MAX_ROWS = 1000;

/**
 * A column of the poll: an {@link Attention} as JSON. `holds` says whether the outbox's dead letters hold their keys; `goOn`
 * names the parameter with the consumers whose dead letters do not. Served by outbox_parked_dead, inbox_parked_dead and
 * jobs_dead, so its cost is that of the dead rows.
 */
export function attention(schema: string, { holds, goOn }: { holds: boolean; goOn: string }): string {
  const s = quoteIdentifier(schema);
  const seconds = (since: string) =>
    `coalesce(greatest(extract(epoch from clock_timestamp() - ${since}), 0), 0)::float8`;
  const tally = (count: string, since: string) =>
    `json_build_object('count', ${count}, 'oldestSeconds', ${seconds(since)})`;
  return `(with outbox as materialized (
             select aggregatetype, aggregateid, dead_at from ${s}.outbox_parked
              where dead_at is not null order by dead_at, position limit ${MAX_ROWS}),
           inbox as materialized (
             select consumer, key, holds_key and key is not null and consumer <> all(${goOn}::text[]) as holds, dead_at
               from ${s}.inbox_parked
              where dead_at is not null order by dead_at, id limit ${MAX_ROWS}),
           jobs as materialized (select dead_at from ${s}.jobs where dead_at is not null order by id limit ${MAX_ROWS}),
           held as materialized (
             select min(dead_at) as since from outbox where ${holds} group by aggregatetype, aggregateid
             union all
             select min(dead_at) from inbox where holds group by consumer, key)
           select json_build_object(
             'deadLetters', (select ${tally('count(*)', 'min(dead_at)')}
                               from (select dead_at from outbox union all select dead_at from inbox) as letters),
             'deadJobs', (select ${tally('count(*)', 'min(dead_at)')} from jobs),
             'heldKeys', (select ${tally('count(*)', 'min(since)')} from held)))`;
}
