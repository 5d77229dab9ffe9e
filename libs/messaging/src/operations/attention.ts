import { quoteIdentifier } from '../postgres/schema.js';

/** A count, and the age of the oldest item. */
export interface Tally {
  readonly count: number;
  /** 0 if there are none. */
  readonly oldestSeconds: number;
}

/** What needs an operator's attention: dead letters of both boxes, dead jobs, and the keys that dead letters hold. */
export interface Attention {
  readonly deadLetters: Tally;
  readonly deadJobs: Tally;
  readonly heldKeys: Tally;
}

/** The most rows that are counted per table: the oldest dead letters, and arbitrary dead jobs. */
const MAX_ROWS = 1000;

/**
 * Returns a column of the poll's statement: an {@link Attention} as JSON. `holds` is whether the outbox's dead letters hold
 * their keys; `goOn` is the parameter with the consumers whose dead letters do not. Served by outbox_parked_dead,
 * inbox_parked_dead and jobs_dead, so its cost depends only on the number of dead rows.
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
