import { latestReleaseId } from '../operations/audit.js';
import { idleOperations } from '../operations/idle-operations.js';
import { openIncidents } from '../operations/incident.js';
import { pausesColumn } from '../operations/pause-store.js';
import { readUpTo } from '../log/lease-progress.js';
import { type LogSql } from '../log/log-sql.js';
import { blocksOf, dueSince, LATE, NIL } from '../postgres/due-range.js';
import { quoteIdentifier } from '../postgres/schema.js';

/** How many gaps the poll searches for overdue messages. */
const MAX_SEARCHED_GAPS = 100;

/**
 * Returns the one statement of the poll. It takes or renews the lease, records progress, and looks for everything that is due.
 * `attention` is the SQL of the column of that name; its parameter is $13, and the others are:
 *
 * - $1 the holder, null for a process that never leads; $2 the length of the lease in milliseconds
 * - $3 position, $4 gaps and $12 `ahead` of the progress to record, and $11 the position that it has reached
 * - $6 location, $7 token and $8 position as the holder knows them
 * - $5 the queues; $9 and $10 where the searches for due parked messages and for due jobs of each queue start
 */
export function pollStatement(schema: string, log: LogSql, attention: string): string {
  const s = quoteIdentifier(schema);
  return `with lease as (
         update ${s}.relay_lease
            set holder = $1,
                token = token + (holder is distinct from $1)::int,
                expires_at = clock_timestamp() + $2 * interval '1 millisecond',
                ${recording(log, { position: '$3', gaps: '$4', ahead: '$12', reach: '$11', location: '$6', token: '$7', known: '$8' })}
          where holder = $1 or (expires_at < clock_timestamp() and $1::uuid is not null)
         returning token, position, origin, gaps, ahead,
                   $6 = ${log.location} and token = $7::bigint and position in ($3::bigint, $8::bigint) as kept,
                   position = $3::bigint and ahead is not distinct from $12::jsonb as sent),
       -- If the clock is stepped back, a dead holder's lease would last longer by that step. A holder never relies on its
       -- lease for longer than this. Only an operator sets 'infinity'.
       shortened as (
         update ${s}.relay_lease set expires_at = clock_timestamp() + $2 * interval '1 millisecond'
          where $1::uuid is not null and holder is distinct from $1
            and expires_at > clock_timestamp() + $2 * interval '1 millisecond' and expires_at < 'infinity')
       select lease.token, lease.position, lease.origin, lease.kept, lease.sent,
              case when lease.kept then null else lease.gaps end as gaps,
              case when lease.kept then null else lease.ahead end as ahead,
              ${log.location} as location, ${log.origin} as "currentOrigin", log.last as "lastPosition",
              has_sequence_privilege(${log.relations.sequence ?? 'null::regclass'}, 'select') is true as "lastReadable",
              (select true from ${s}.outbox
                where position > log.last order by position limit 1) is not null as "rowsBeyond",
              floor(extract(epoch from clock_timestamp()) * 1000)::bigint as clock,
              -- Ordered although any row would do, because for a bare exists the planner reads the whole log and expects to find
              -- one soon.
              (select position from ${s}.outbox
                where position > ${readUpTo('lease')} order by position limit 1)
                <= coalesce(log.last, 9223372036854775807) is true as pending,
${dueColumns(schema)},
              (${LATE})::text as late,
              ${latestReleaseId(schema)} as "lastAction",
              ${openIncidents(schema)} as incidents,
              ${idleOperations(schema)} as operations,
              ${pausesColumn(schema)} as pauses,
${unpublishedColumn(s)},
              ${attention} as attention
         from (select ${log.lastPosition} as last) as log left join lease on true`;
}

/** Returns the columns with the due times of the first parked message and of the first job of each queue. */
function dueColumns(schema: string): string {
  const s = quoteIdentifier(schema);
  return `              -- Served by inbox_parked_due, jobs_due and messaging_audit_pkey. No index serves clock_timestamp(), which is
              -- volatile. Rows are compared instead of times so that the planner does not assume a small range and sort it.
              (select next_attempt_at::text from ${s}.inbox_parked
                where next_attempt_at <= statement_timestamp()
                  and (next_attempt_at, id) >= ((select ${dueSince(schema, 'inbox_parked', '$9::timestamptz')}), 0)
                order by next_attempt_at limit 1) as parked,
              ${blocksOf(schema, 'inbox_parked')} > 0 as "anyParked",
              (select json_object_agg(handled.queue, due.run_at::text)
                 from unnest($5::text[], $10::timestamptz[]) as handled (queue, since) cross join lateral (
                   select run_at from ${s}.jobs
                    where jobs.queue = handled.queue and dead_at is null and run_at <= statement_timestamp()
                      and (run_at, id) >= (${dueSince(schema, 'jobs', 'handled.since')}, '${NIL}'::uuid)
                    order by run_at limit 1) as due) as jobs`;
}

/** Returns the column with the age of the oldest message that is unpublished according to the lease row. */
function unpublishedColumn(s: string): string {
  return `              -- Served by outbox_pkey. Starts at the recorded position, so that messages of blocked types count. Rows that the
              -- sequence has not reached are older than its restart, and published.
              (select json_build_object('seconds', extract(epoch from clock_timestamp() - min(oldest.created_at))::float8,
                                        'leased', l.expires_at > clock_timestamp())
                 from ${s}.relay_lease as l
                cross join lateral (
                  (select position, created_at from ${s}.outbox
                    where outbox.position > l.position order by position limit 1)
                  union all
                  (select late.position, late.created_at
                     from (select span from unnest(l.gaps) as span limit ${MAX_SEARCHED_GAPS}) as gap
                    cross join lateral (
                      select position, created_at from ${s}.outbox
                       where position >= lower(gap.span) and position < upper(gap.span)
                       order by position limit 1) as late)) as oldest
                where oldest.position <= coalesce(log.last, 9223372036854775807)
                group by l.expires_at) as unpublished`;
}

/**
 * Returns the statement that releases the lease and records progress. Its parameters are $1 the holder, $2 position, $3 gaps and $8
 * `ahead` of the progress, $7 the position that it has reached, and $4 location, $5 token and $6 position as the holder knows them.
 */
export function releaseStatement(schema: string, log: LogSql): string {
  const s = quoteIdentifier(schema);
  return `update ${s}.relay_lease
          set expires_at = '-infinity',
              ${recording(log, { position: '$2', gaps: '$3', ahead: '$8', reach: '$7', location: '$4', token: '$5', known: '$6' })}
        where holder = $1`;
}

/**
 * Returns SQL that records progress in the lease row, unless the progress is obsolete because another process has published meanwhile,
 * the log has changed, or the sequence has not reached that position. The arguments are the statement's parameters; $1 is the
 * holder.
 */
function recording(
  log: LogSql,
  of: Record<'position' | 'gaps' | 'ahead' | 'reach' | 'location' | 'token' | 'known', string>,
): string {
  const recordable = `holder = $1 and ${of.reach}::bigint <= coalesce(${log.lastPosition}, ${of.reach}::bigint)
                        and (${of.location}::text is null or (${of.location} = ${log.location} and token = ${of.token}::bigint
                             and position = ${of.known}::bigint))`;
  return `position = case when ${recordable} then ${of.position}::bigint else position end,
            gaps = case when ${recordable} then coalesce(${of.gaps}::int8multirange, gaps) else gaps end,
            ahead = case when ${recordable} then ${of.ahead}::jsonb else ahead end,
            origin = case when ${recordable} then ${log.origin} else origin end`;
}
