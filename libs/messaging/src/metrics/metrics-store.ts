import { type DataSource } from 'typeorm';
import { type DueSince } from '../postgres/due-range.js';
import { inTransaction } from '../postgres/transaction.js';
import { readUpTo, validAhead } from '../log/lease-progress.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { MAX_ROWS, seconds, type WorkReading, workColumns, workParts } from './work-parts.js';

/** A number of waiting messages, and how long the oldest has waited in seconds; 0 if there is none. */
export interface Waiting {
  readonly messages: number;
  readonly oldestSeconds: number;
}

/** The current contents of one schema's tables. */
export interface TableReading extends WorkReading {
  /** Messages that are committed and not yet published; the relay publishes them next. */
  readonly ready: Waiting;
  /** Messages that are not published because they wait behind a dead letter of their key. */
  readonly held: Waiting;
  /** Messages that are not published because their aggregate type is blocked. */
  readonly blocked: Waiting;
  /** Dead letters of the outbox, by aggregate type. */
  readonly deadLetters: Readonly<Record<string, number>>;
  /** Parked messages and dead letters of each requested consumer. */
  readonly inboxes: readonly (Waiting & { readonly consumer: string; readonly deadLetters: number })[];
}

/** What the reading is about, besides the outbox. */
export interface Watched {
  readonly consumers: readonly string[];
  /** The job queues that the process handles. */
  readonly queues: readonly string[];
  readonly holdKeys: boolean;
  /** Where the searches for due jobs start. */
  readonly dueSince: DueSince;
}

/** The result of the query, from its parts. */
const READING = `select json_build_object(
         'ready', json_build_object(
           'messages', case when beyond.messages < ${MAX_ROWS} then beyond.messages else beyond.distance end
                       + late.messages + parked.released,
           'oldestSeconds', ${seconds('least(beyond.oldest, late.oldest, parked.oldest_released)')}),
         'held', json_build_object('messages', parked.held, 'oldestSeconds', ${seconds('parked.oldest_held')}),
         'blocked', json_build_object('messages', blocked.messages, 'oldestSeconds', ${seconds('blocked.oldest')}),
         'deadLetters', (select coalesce(json_object_agg(aggregatetype, dead), '{}')
                           from (select aggregatetype, sum(dead) as dead from keys group by aggregatetype) as types),
         'inboxes', (select coalesce(json_agg(json_build_object(
                              'consumer', consumer, 'messages', messages, 'oldestSeconds', ${seconds('oldest')},
                              'deadLetters', dead)), '[]') from inboxes),
         ${workColumns}) as reading
  from beyond, late, parked, blocked`;

/**
 * Reads the contents of the tables in one statement. The outbox is read along its primary key from the relay's progress on, so
 * published rows cost nothing. Beyond 100,000 unpublished rows, their number is the distance between two positions, which includes
 * positions of transactions that were rolled back. Parked messages are counted up to 100,000 per table and consumer, jobs up to 100,000
 * per queue and state.
 *
 * Because the relay records its progress once a second, messages published within the last second may still count as unpublished.
 * @throws when the database is unavailable, or needs more than `boundMs`
 */
export async function readTables(
  dataSource: DataSource,
  schemaName: string,
  { consumers, queues, holdKeys, dueSince }: Watched,
  boundMs: number,
): Promise<TableReading> {
  const schema = quoteIdentifier(schemaName);
  return inTransaction(dataSource, async (tx) => {
    // A scrape that timed out must not leave the server counting. Without statistics (after a bulk load, or when a backlog grew within
    // a minute) the planner would scan and sort the whole log, and JIT-compile the query first.
    await tx.query(
      `select set_config('statement_timeout', $1, true), set_config('enable_seqscan', 'off', true),
              set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)`,
      [String(boundMs)],
    );
    const [row]: { reading: TableReading }[] = await tx.query(
      `with ${outboxParts(schema)}, ${parkedParts(schema)}, ${workParts(schemaName)} ${READING}`,
      [holdKeys, consumers, queues, queues.map((queue) => dueSince.jobs[queue] ?? null)],
    );
    if (!row) throw new Error(`${schema}.relay_lease has no row`);
    return row.reading;
  });
}

/** The parts of the query about messages in the outbox. Each "order by" is served by outbox_pkey. */
function outboxParts(schema: string): string {
  return `lease as materialized (
      select ${readUpTo('l')} as position, coalesce((${validAhead('l')} ->> 'gaps')::int8multirange, l.gaps) as gaps,
             ${validAhead('l')} -> 'waiting' as waiting
        from ${schema}.relay_lease as l),
    -- The relay counts blocked messages as it reads past them. The oldest of a type is the first one from where the type waits.
    blocked as materialized (
      select coalesce(sum((type.waits ->> 'messages')::bigint), 0) as messages, min(oldest.created_at) as oldest
        from lease cross join jsonb_each(lease.waiting) as type (name, waits)
        left join lateral (
          select created_at from (
            select aggregatetype, created_at from ${schema}.outbox
             where position >= (type.waits ->> 'from')::bigint and position <= lease.position
             order by position limit ${MAX_ROWS}) as looked
           where aggregatetype = type.name limit 1) as oldest on true),
    beyond as materialized (
      select (select count(*) from (select from ${schema}.outbox where position > lease.position
                                     order by position limit ${MAX_ROWS}) as counted) as messages,
             (select created_at from ${schema}.outbox where position > lease.position
               order by position limit 1) as oldest,
             (select max(position) from ${schema}.outbox) - lease.position as distance
        from lease),
    late as materialized (
      select count(*) as messages, min(created_at) as oldest
        from (select rows.created_at
                from lease cross join unnest(lease.gaps) as gap (span)
               cross join lateral (
                 select created_at from ${schema}.outbox
                  where position >= lower(gap.span) and position < upper(gap.span)
                  order by position limit ${MAX_ROWS}) as rows
               limit ${MAX_ROWS}) as counted)`;
}

/**
 * The parts of the query about parked messages and dead letters. Each "order by" is served by outbox_parked_pkey or
 * inbox_parked_pkey.
 */
function parkedParts(schema: string): string {
  return `keys as materialized (
      select aggregatetype, count(dead_at) as dead, count(dead_at) > 0 and $1 as held,
             count(*) filter (where dead_at is null) as waiting, min(created_at) filter (where dead_at is null) as oldest
        from (select aggregatetype, aggregateid, created_at, dead_at
                from ${schema}.outbox_parked order by position limit ${MAX_ROWS}) as parked
       group by aggregatetype, aggregateid),
    parked as materialized (
      select coalesce(sum(waiting) filter (where held), 0) as held,
             min(oldest) filter (where held) as oldest_held,
             coalesce(sum(waiting) filter (where not held), 0) as released,
             min(oldest) filter (where not held) as oldest_released
        from keys),
    inboxes as materialized (
      select asked.consumer, count(*) filter (where p.parked_at is not null and p.dead_at is null) as messages,
             min(p.parked_at) filter (where p.dead_at is null) as oldest, count(p.dead_at) as dead
        from unnest($2::text[]) as asked (consumer)
        left join lateral (
          select parked_at, dead_at from ${schema}.inbox_parked
           where inbox_parked.consumer = asked.consumer order by id limit ${MAX_ROWS}) as p on true
       group by asked.consumer)`;
}
