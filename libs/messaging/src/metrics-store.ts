import { type DataSource } from 'typeorm';
import { inTransaction } from './inbox-transaction.js';
import { readUpTo, validAhead } from './lease-progress.js';
import { quoteIdentifier } from './schema.js';

/** Messages that lie somewhere, and how long the oldest has, in seconds (0 without any). */
export interface Waiting {
  readonly messages: number;
  readonly oldestSeconds: number;
}

/** What the tables of one schema hold now. */
export interface TableReading {
  /** Committed and not yet published: the relay's next work. */
  readonly ready: Waiting;
  /** Not published because they stand behind a dead letter of their key. */
  readonly held: Waiting;
  /** Not published because no topic takes their aggregate type. */
  readonly blocked: Waiting;
  /** In the outbox, by aggregate type. */
  readonly deadLetters: Readonly<Record<string, number>>;
  /** Of each consumer that was asked for. */
  readonly inboxes: readonly (Waiting & { readonly consumer: string; readonly deadLetters: number })[];
}

/** Of what lies in one place, so many are looked at. */
const LOOK_AT = 100_000;

/**
 * Reads in one statement what lies in the tables. The outbox is read along its primary key from the relay's progress on, so
 * published rows cost nothing; beyond 100,000 unpublished ones their number is the distance of the positions, which counts
 * those of rolled back transactions too. What is parked is counted up to 100,000 a table and consumer.
 *
 * The relay records its progress once a second: up to a second's messages may be called unpublished that are not.
 * @throws when the database is away, or needs more than `boundMs`
 */
export async function readTables(
  dataSource: DataSource,
  schemaName: string,
  { consumers, holdKeys, boundMs }: { consumers: readonly string[]; holdKeys: boolean; boundMs: number },
): Promise<TableReading> {
  const schema = quoteIdentifier(schemaName);
  const seconds = (since: string) => `coalesce(greatest(extract(epoch from clock_timestamp() - ${since}), 0), 0)`;
  return inTransaction(dataSource, async (tx) => {
    // A scrape that gave up must not leave the server counting. A planner without statistics (after a bulk load, or a
    // backlog that grew within a minute) would scan and sort the whole log, and compile that first.
    await tx.query(
      `select set_config('statement_timeout', $1, true), set_config('enable_seqscan', 'off', true),
              set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)`,
      [String(boundMs)],
    );
    const [row]: { reading: TableReading }[] = await tx.query(
      // outbox_pkey, outbox_parked_pkey, inbox_parked_pkey: one for each "order by".
      `with lease as materialized (
         select ${readUpTo('l')} as position, coalesce((${validAhead('l')} ->> 'gaps')::int8multirange, l.gaps) as gaps,
                ${validAhead('l')} -> 'waiting' as waiting
           from ${schema}.relay_lease as l),
       -- The relay counts them as it passes them. Of each type the oldest is the first from where it waits.
       blocked as materialized (
         select coalesce(sum((type.waits ->> 'messages')::bigint), 0) as messages, min(oldest.created_at) as oldest
           from lease cross join jsonb_each(lease.waiting) as type (name, waits)
           left join lateral (
             select created_at from (
               select aggregatetype, created_at from ${schema}.outbox
                where position >= (type.waits ->> 'from')::bigint and position <= lease.position
                order by position limit ${LOOK_AT}) as looked
              where aggregatetype = type.name limit 1) as oldest on true),
       beyond as materialized (
         select (select count(*) from (select from ${schema}.outbox where position > lease.position
                                        order by position limit ${LOOK_AT}) as counted) as messages,
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
                     order by position limit ${LOOK_AT}) as rows
                  limit ${LOOK_AT}) as counted),
       keys as materialized (
         select aggregatetype, count(dead_at) as dead, count(dead_at) > 0 and $1 as held,
                count(*) filter (where dead_at is null) as waiting, min(created_at) filter (where dead_at is null) as oldest
           from (select aggregatetype, aggregateid, created_at, dead_at
                   from ${schema}.outbox_parked order by position limit ${LOOK_AT}) as parked
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
              where inbox_parked.consumer = asked.consumer order by id limit ${LOOK_AT}) as p on true
          group by asked.consumer)
       select json_build_object(
                'ready', json_build_object(
                  'messages', case when beyond.messages < ${LOOK_AT} then beyond.messages else beyond.distance end
                              + late.messages + parked.released,
                  'oldestSeconds', ${seconds('least(beyond.oldest, late.oldest, parked.oldest_released)')}),
                'held', json_build_object('messages', parked.held, 'oldestSeconds', ${seconds('parked.oldest_held')}),
                'blocked', json_build_object('messages', blocked.messages, 'oldestSeconds', ${seconds('blocked.oldest')}),
                'deadLetters', (select coalesce(json_object_agg(aggregatetype, dead), '{}')
                                  from (select aggregatetype, sum(dead) as dead from keys group by aggregatetype) as types),
                'inboxes', (select coalesce(json_agg(json_build_object(
                                     'consumer', consumer, 'messages', messages, 'oldestSeconds', ${seconds('oldest')},
                                     'deadLetters', dead)), '[]') from inboxes)) as reading
         from beyond, late, parked, blocked`,
      [holdKeys, consumers],
    );
    if (!row) throw new Error(`${schema}.relay_lease has no row`);
    return row.reading;
  });
}
