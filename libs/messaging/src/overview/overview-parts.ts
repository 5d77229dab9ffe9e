import { readUpTo, validAhead } from '../log/lease-progress.js';

/** The most rows that one count reads. */
const MAX_ROWS = 100_000;
/** The most rows from which a rate is computed. */
const MAX_RECENT = 10_000;
/** The most queues that the table is searched for. */
const MAX_QUEUES = 200;

/** The part about the lease and the published messages. Served by outbox_pkey. */
export function leasePart(s: string): string {
  return `progress as materialized (
      select l.*, ${readUpTo('l')} as reached, coalesce((${validAhead('l')} ->> 'gaps')::int8multirange, l.gaps) as open_gaps
        from ${s}.relay_lease as l),
    recent as materialized (
      select count(*) as messages, min(created_at) as since
        from (select outbox.created_at
                from progress cross join lateral (
                  select position, created_at from ${s}.outbox
                   where outbox.position <= progress.reached order by position desc limit ${MAX_RECENT}) as outbox
               where not outbox.position <@ progress.open_gaps) as published
       where created_at > clock_timestamp() - interval '1 minute'),
    lease as materialized (
      select holder, token::text as "fencingToken", expires_at > clock_timestamp() as held,
             case when isfinite(expires_at) then expires_at end as "leasedUntil",
             (select count(*)::int from unnest(open_gaps)) as gaps, ${rate('recent.messages', 'recent.since')} as "publishedPerSecond"
        from progress, recent)`;
}

/** The most messages or jobs among which the latest failure is searched for. */
const MAX_FAILURES = 1000;

/** Returns SQL for a LatestFailure of a row with the columns `error` and `history`. */
const failure = `json_build_object('at', history -> -1 ->> 'at', 'error', left(error, 500))`;

/**
 * The part about consumers. Served by inbox_in_flight_partition, inbox_offsets_pkey, inbox_age, inbox_parked_pkey, and inbox_parked_due for
 * those that wait for another attempt.
 */
export function consumersPart(s: string): string {
  return `due as materialized (
      select consumer, count(*)::int as messages, min(next_attempt_at) as since
        from (select consumer, next_attempt_at from ${s}.inbox_parked
               where next_attempt_at <= statement_timestamp() order by next_attempt_at limit ${MAX_ROWS}) as waiting
       group by consumer),
    -- The more often it has failed, the later a message is attempted again.
    failed as materialized (
      select distinct on (consumer) consumer, ${failure} as failure
        from (select consumer, error, history from ${s}.inbox_parked
               where next_attempt_at is not null and error is not null order by next_attempt_at desc limit ${MAX_FAILURES}) as retried
       order by consumer, (history -> -1 ->> 'at')::timestamptz desc nulls last),
    consumers as materialized (
      select asked.consumer, coalesce(flight.messages, 0)::int as "inFlight", flight.since as "inFlightSince",
             ${rate('recent.messages', 'recent.since')} as "processedPerSecond", dead.since as "oldestDead",
             coalesce(due.messages, 0) as due, due.since as "dueSince", failed.failure as "latestFailure",
             (select max(updated_at) from ${s}.inbox_offsets as o where o.consumer = asked.consumer) as "settledAt"
        from unnest($1::text[]) as asked (consumer)
       cross join lateral (
         -- A mark stays until the next one replaces it, and what is settled by then is not in flight any more.
         select sum(greatest(0, m.last_offset + 1 - greatest(m.first_offset, o.next_offset))) as messages,
                min(m.started_at) filter (where o.next_offset is null or m.last_offset >= o.next_offset) as since
           from ${s}.inbox_in_flight as m
           left join ${s}.inbox_offsets as o using (consumer, topic, partition)
          where m.consumer = asked.consumer) as flight
       cross join lateral (
         select count(*) as messages, min(received_at) as since
           from (select received_at from ${s}.inbox as i
                  where i.consumer = asked.consumer and received_at > clock_timestamp() - interval '1 minute'
                  order by received_at desc limit ${MAX_RECENT}) as latest) as recent
        left join due on due.consumer = asked.consumer
        left join failed on failed.consumer = asked.consumer
        left join lateral (
         select min(dead_at) as since
           from (select dead_at from ${s}.inbox_parked as p where p.consumer = asked.consumer order by id limit ${MAX_ROWS}) as letters
       ) as dead on true)`;
}

/**
 * The part about queues: those of this service's handlers, and those that have jobs, which a loose scan of jobs_due and jobs_dead finds.
 * Served by jobs_due, jobs_begun and jobs_dead.
 */
export function queuesPart(s: string): string {
  const count = (where: string, order: string) =>
    `(select count(*)::int from (select from ${s}.jobs as j where j.queue = known.queue and ${where} order by ${order} limit ${MAX_ROWS}) as c)`;
  return `dead as materialized (
      select queue, count(*)::int as jobs, min(dead_at) as since
        from (select queue, dead_at from ${s}.jobs where dead_at is not null order by id limit ${MAX_ROWS}) as letters
       group by queue),
    stored as materialized (
      select queue from (
        with recursive next as (
          (select queue, 1 as n from ${s}.jobs where dead_at is null order by queue limit 1)
          union all
          select (select j.queue from ${s}.jobs as j where j.dead_at is null and j.queue > next.queue order by j.queue limit 1), n + 1
            from next where next.queue is not null and n < ${MAX_QUEUES})
        select queue from next where queue is not null) as found),
    queues as materialized (
      select known.queue, ${count('dead_at is null and run_at <= statement_timestamp()', 'run_at')} as due,
             (select run_at from ${s}.jobs as j
               where j.queue = known.queue and dead_at is null and run_at <= statement_timestamp() order by run_at limit 1) as "dueSince",
             ${begun('lease is not null and run_at > statement_timestamp()', s)} as running,
             ${begun('lease is null and run_at > statement_timestamp()', s)} as retrying,
             greatest(0, ${count('dead_at is null and run_at > statement_timestamp()', 'run_at')}
               - ${begun('run_at > statement_timestamp()', s)}) as scheduled,
             (select ${failure}
                from (select error, history from ${s}.jobs as j where j.queue = known.queue and dead_at is null
                         and (lease is not null or attempts > 0 or setbacks > 0) and error is not null
                       order by run_at desc limit ${MAX_FAILURES}) as failed
               order by (history -> -1 ->> 'at')::timestamptz desc nulls last limit 1) as "latestFailure",
             coalesce(dead.jobs, 0) as dead
        from (select unnest($2::text[]) as queue union select queue from stored union select queue from dead) as known
        left join dead using (queue))`;
}

/** Returns SQL for the number of jobs of a queue that have been attempted, or are. */
function begun(where: string, s: string): string {
  return `(select count(*)::int from (
            select from ${s}.jobs as j where j.queue = known.queue and dead_at is null
               and (lease is not null or attempts > 0 or setbacks > 0) and ${where} order by run_at limit ${MAX_ROWS}) as c)`;
}

/** Returns SQL for a rate per second over the last minute, or over the time of the rows that were counted. */
function rate(count: string, since: string): string {
  return `case when ${count} < ${MAX_RECENT} then round(${count} / 60.0, 2)
               else round((${count} / greatest(extract(epoch from clock_timestamp() - ${since}), 1))::numeric, 2) end::float8`;
}

/** The most operations that are shown as problems. */
const MAX_OPERATIONS = 20;

/** The column of the operations that something delays. Served by messaging_operations_open. */
export function delayedOperations(s: string): string {
  return `(select coalesce(json_agg(json_build_object('id', id, 'kind', kind, 'problem', problem, 'since', updated_at)), '[]')
             from (select * from ${s}.messaging_operations
                    where finished_at is null and problem is not null order by created_at, id limit ${MAX_OPERATIONS}) as delayed)`;
}
