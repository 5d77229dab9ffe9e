import { type DataSource } from 'typeorm';
import { readUpTo, validAhead } from '../log/lease-progress.js';
import { type Incident, openIncidents } from '../operations/incident.js';
import { type ConsumerOverview, type QueueOverview, type RelayOverview } from './overview-report.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { inTransaction } from '../postgres/transaction.js';

/** The most rows that one count reads. */
const MAX_ROWS = 100_000;
/** The most rows from which a rate is computed. */
const MAX_RECENT = 10_000;
/** The most queues that the table is searched for. */
const MAX_QUEUES = 200;

/** A pause as the table has it. */
export interface StoredPause {
  readonly kind: string;
  readonly name: string;
  readonly since: Date;
  readonly actor: string;
  readonly reason: string | null;
}

/** What the tables say beside the counts of `readTables`. */
export interface StoredOverview {
  readonly at: Date;
  readonly lease: Pick<RelayOverview, 'holder' | 'leasedUntil' | 'fencingToken' | 'gaps' | 'publishedPerSecond'> & {
    readonly held: boolean;
  };
  readonly oldestDead: { readonly outbox: Date | null; readonly jobs: Readonly<Record<string, Date>> };
  readonly consumers: readonly (Pick<
    ConsumerOverview,
    'consumer' | 'inFlight' | 'inFlightSince' | 'processedPerSecond'
  > & { readonly oldestDead: Date | null; readonly settledAt: Date | null })[];
  readonly queues: readonly Omit<QueueOverview, 'paused'>[];
  readonly pauses: readonly StoredPause[];
  readonly incidents: readonly Incident[];
}

/**
 * Reads the overview in one statement. Its cost depends on what waits, up to 100,000 rows of each kind, and not on how much was
 * processed.
 * @throws when the database is unavailable, or needs more than `boundMs`
 */
export async function readOverview(
  dataSource: DataSource,
  schemaName: string,
  { consumers, queues, boundMs }: { consumers: readonly string[]; queues: readonly string[]; boundMs: number },
): Promise<StoredOverview> {
  const s = quoteIdentifier(schemaName);
  return inTransaction(dataSource, async (tx) => {
    // As in readTables: without statistics the planner would scan and sort whole tables.
    await tx.query(
      `select set_config('statement_timeout', $1, true), set_config('enable_seqscan', 'off', true),
              set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)`,
      [String(boundMs)],
    );
    const [row]: { overview: Dates<StoredOverview> }[] = await tx.query(
      `with ${leasePart(s)}, ${consumersPart(s)}, ${queuesPart(s)}
       select json_build_object(
         'at', clock_timestamp(),
         'lease', (select row_to_json(lease) from lease),
         'oldestDead', json_build_object(
           -- outbox_parked_dead
           'outbox', (select dead_at from ${s}.outbox_parked where dead_at is not null order by dead_at, position limit 1),
           'jobs', (select coalesce(json_object_agg(queue, since), '{}') from dead)),
         'consumers', (select coalesce(json_agg(row_to_json(consumers)), '[]') from consumers),
         'queues', (select coalesce(json_agg(row_to_json(queues) order by queue), '[]') from queues),
         'pauses', (select coalesce(json_agg(json_build_object(
                             'kind', kind, 'name', name, 'since', paused_at, 'actor', actor, 'reason', reason)
                             order by kind, name), '[]')
                      from ${s}.messaging_pauses),
         'incidents', coalesce(${openIncidents(schemaName)}, '[]')) as overview`,
      [consumers, queues],
    );
    if (!row) throw new Error(`${s}.relay_lease has no row`);
    return withDates(row.overview);
  });
}

/** The part about the lease and the published messages. Served by outbox_pkey. */
function leasePart(s: string): string {
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

/** The part about consumers. Served by inbox_in_flight_partition, inbox_offsets_pkey, inbox_age and inbox_parked_pkey. */
function consumersPart(s: string): string {
  return `consumers as materialized (
      select asked.consumer, coalesce(flight.messages, 0)::int as "inFlight", flight.since as "inFlightSince",
             ${rate('recent.messages', 'recent.since')} as "processedPerSecond", dead.since as "oldestDead",
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
        left join lateral (
         select min(dead_at) as since
           from (select dead_at from ${s}.inbox_parked as p where p.consumer = asked.consumer order by id limit ${MAX_ROWS}) as letters
       ) as dead on true)`;
}

/**
 * The part about queues: those of this service's handlers, and those that have jobs, which a loose scan of jobs_due and jobs_dead finds.
 * Served by jobs_due, jobs_begun and jobs_dead.
 */
function queuesPart(s: string): string {
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

/** JSON has times as text. */
type Dates<T> = T extends Date ? string : T extends object ? { readonly [K in keyof T]: Dates<T[K]> } : T;

function withDates({
  at,
  lease,
  oldestDead,
  consumers,
  queues,
  pauses,
  incidents,
}: Dates<StoredOverview>): StoredOverview {
  return {
    at: new Date(at),
    lease: { ...lease, leasedUntil: dateOf(lease.leasedUntil) },
    oldestDead: {
      outbox: dateOf(oldestDead.outbox),
      jobs: Object.fromEntries(Object.entries(oldestDead.jobs).map(([queue, since]) => [queue, new Date(since)])),
    },
    consumers: consumers.map(({ inFlightSince, oldestDead: dead, settledAt, ...consumer }) => ({
      ...consumer,
      inFlightSince: dateOf(inFlightSince),
      oldestDead: dateOf(dead),
      settledAt: dateOf(settledAt),
    })),
    queues: queues.map(({ dueSince, ...queue }) => ({ ...queue, dueSince: dateOf(dueSince) })),
    pauses: pauses.map(({ since, ...pause }) => ({ ...pause, since: new Date(since) })),
    incidents,
  };
}

function dateOf(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
