import { dueSince } from '../postgres/due-range.js';
import { quoteIdentifier } from '../postgres/schema.js';

/** The most rows that one part of the query reads. */
export const MAX_ROWS = 100_000;

/** The jobs of one queue. */
export interface QueueReading {
  readonly queue: string;
  /** May run now, and wait for a worker. */
  readonly due: number;
  /** 0 if no job is due. */
  readonly oldestDueSeconds: number;
  readonly running: number;
  /** Failed, and wait for their next attempt. */
  readonly retrying: number;
  readonly dead: number;
}

/** What waits or is held up besides messages. */
export interface WorkReading {
  readonly queues: readonly QueueReading[];
  /** Stored operations that have not finished, by kind and state. */
  readonly operations: readonly { readonly kind: string; readonly state: string; readonly count: number }[];
  readonly pauses: readonly { readonly kind: string; readonly name: string }[];
  /** Open incidents, by kind. */
  readonly incidents: Readonly<Record<string, number>>;
}

/**
 * Returns the parts of the query about jobs, operations, pauses and incidents. $3 has the queues, and $4 where the search of each for due
 * jobs starts. Served by jobs_due (only its entries are read), jobs_begun, jobs_dead, messaging_operations_open, messaging_pauses_pkey and
 * messaging_incidents_open.
 */
export function workParts(schemaName: string): string {
  const schema = quoteIdentifier(schemaName);
  return `dead as materialized (
      select queue, count(*) as jobs
        from (select queue from ${schema}.jobs where dead_at is not null order by id limit ${MAX_ROWS}) as counted
       group by queue),
    queues as materialized (
      select handled.queue, due.jobs as due, due.oldest, begun.running, begun.retrying, coalesce(dead.jobs, 0) as dead
        from unnest($3::text[], $4::timestamptz[]) as handled (queue, since)
       cross join lateral (
         select count(*) as jobs, min(run_at) as oldest
           from (select run_at from ${schema}.jobs
                  where jobs.queue = handled.queue and dead_at is null and run_at <= statement_timestamp()
                    and run_at >= ${dueSince(schemaName, 'jobs', 'handled.since')}
                  order by run_at limit ${MAX_ROWS}) as counted) as due
       cross join lateral (
         select count(lease) as running, count(*) - count(lease) as retrying
           from (select lease from ${schema}.jobs
                  where jobs.queue = handled.queue and dead_at is null and (lease is not null or attempts > 0 or setbacks > 0)
                    and run_at > statement_timestamp()
                  order by run_at limit ${MAX_ROWS}) as counted) as begun
        left join dead on dead.queue = handled.queue),
    operations as materialized (
      select kind, state, count(*) as count
        from (select kind, state from ${schema}.messaging_operations
               where finished_at is null order by created_at, id limit ${MAX_ROWS}) as counted
       group by kind, state),
    pauses as materialized (select kind, name from ${schema}.messaging_pauses order by kind, name limit ${MAX_ROWS}),
    incidents as materialized (
      select kind, count(*) as count
        from (select kind from ${schema}.messaging_incidents
               where acknowledged_at is null order by kind limit ${MAX_ROWS}) as counted
       group by kind)`;
}

/** The columns of the result that come from {@link workParts}. */
export const workColumns = `'queues', (select coalesce(json_agg(json_build_object(
                             'queue', queue, 'due', due, 'oldestDueSeconds', ${seconds('oldest')}, 'running', running,
                             'retrying', retrying, 'dead', dead)), '[]') from queues),
         'operations', (select coalesce(json_agg(operations), '[]') from operations),
         'pauses', (select coalesce(json_agg(pauses), '[]') from pauses),
         'incidents', (select coalesce(json_object_agg(kind, count), '{}') from incidents)`;

/** Returns SQL for the seconds since a time, or 0 if it is null. */
export function seconds(since: string): string {
  return `coalesce(greatest(extract(epoch from clock_timestamp() - ${since}), 0), 0)`;
}
