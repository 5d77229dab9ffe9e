import { Inject, Injectable } from '@nestjs/common';
import { type DataSource } from 'typeorm';
import { validAhead, readUpTo } from '../log/lease-progress.js';
import { textFlaw } from '../message/column-text.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { Audit } from '../operations/audit.js';
import { DataSources } from '../postgres/data-sources.js';
import { historyOf, type StoredHistory } from '../postgres/failure-history.js';
import { quoteIdentifier } from '../postgres/schema.js';
import {
  type HeldMessage,
  type JobOfAggregate,
  type MessagesOfAggregate,
  type RaisedMessage,
} from './aggregate-message.js';

const MOST = 500;

/**
 * The messages and jobs of one aggregate.
 *
 * @hideconstructor
 */
@Injectable()
export class AggregateMessages {
  private readonly schema: string;
  private readonly audit: Audit;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly dataSources: DataSources,
  ) {
    this.schema = quoteIdentifier(options.schema);
    this.audit = new Audit(options.schema);
  }

  /**
   * Returns the messages that the aggregate raised, for as long as the outbox keeps them; the messages with its key that are parked or
   * dead in the inbox, or were discarded from it; and the jobs about it that are not done. Jobs that were added without an `aggregateId`, also by a process of an
   * earlier version, are missing. Each kind is as of its own moment.
   * @throws RangeError for a text that is not an aggregate id; any database error
   */
  async find(aggregateId: string): Promise<MessagesOfAggregate> {
    const flaw = textFlaw(aggregateId);
    if (flaw !== undefined) throw new RangeError(`The aggregate id ${flaw}`);
    const db = this.dataSources.default;
    const raised = await this.raised(db, aggregateId);
    const held = await this.held(db, aggregateId);
    const jobs = await this.jobs(db, aggregateId);
    const discarded = await this.audit.discardedOf(db, aggregateId, MOST);
    return { raised, held, discarded, jobs };
  }

  private async raised(db: DataSource, aggregateId: string): Promise<RaisedMessage[]> {
    const { consumes, publishes, service } = this.options;
    // outbox_aggregate, outbox_parked_key, inbox_pkey. A parked message may have been removed from the log.
    const rows: (Omit<RaisedMessage, 'consumed'> & { consumed: { consumer: string; at: string }[] | null })[] =
      await db.query(
        `with lease as materialized (
         select ${readUpTo('l')} as position, coalesce((${validAhead('l')} ->> 'gaps')::int8multirange, l.gaps) as gaps,
                coalesce(${validAhead('l')} -> 'waiting', '{}') as waiting
           from ${this.schema}.relay_lease l),
       parked as materialized (
         select * from ${this.schema}.outbox_parked where aggregatetype = any($2) and aggregateid = $1
          order by position desc limit ${MOST}),
       logged as materialized (
         select * from ${this.schema}.outbox where aggregateid = $1 order by position desc limit ${MOST}),
       message as (
         select coalesce(l.position, p.position) as position, coalesce(l.id, p.id) as id,
                coalesce(l.aggregatetype, p.aggregatetype) as aggregatetype, coalesce(l.type, p.type) as type,
                coalesce(l.sequence, p.sequence) as sequence, coalesce(l.created_at, p.created_at) as created_at,
                p.position is not null as is_parked, p.error, p.dead_at
           from logged l full join parked p on p.position = l.position and p.id = l.id
          order by 1 desc limit ${MOST})
       select m.position::text as position, m.id, m.aggregatetype as "aggregateType", m.type, m.sequence::text as sequence,
              m.created_at as "createdAt", m.error, m.dead_at as "diedAt",
              case when m.dead_at is not null then 'dead' when m.is_parked then 'parked'
                   when m.position > lease.position or m.position <@ lease.gaps
                     or m.position >= (lease.waiting -> m.aggregatetype ->> 'from')::bigint then 'unpublished'
                   else 'published' end as state,
              (select json_agg(json_build_object('consumer', i.consumer, 'at', i.received_at) order by i.received_at)
                 from unnest($3::text[]) as own (consumer)
                cross join lateral (
                  select * from ${this.schema}.inbox as one
                   where one.consumer = own.consumer and one.message_id = m.id::text and one.source = $4 offset 0) as i) as consumed
         from message m cross join lease order by m.position`,
        [
          aggregateId,
          publishes.map(({ aggregateType }) => aggregateType),
          consumes.map(({ groupId }) => groupId),
          `/${service}`,
        ],
      );
    return rows.map((row) => ({
      ...row,
      consumed: (row.consumed ?? []).map(({ consumer, at }) => ({ consumer, at: new Date(at) })),
    }));
  }

  private async held(db: DataSource, aggregateId: string): Promise<HeldMessage[]> {
    // inbox_parked_arrival, and inbox_parked_unreadable for the letters that hold no key.
    const rows: (Omit<HeldMessage, 'history'> & { history: StoredHistory })[] = await db.query(
      `select id::text as id, consumer, topic, message_id as "messageId", type, attempts, error, parked_at as "parkedAt",
              next_attempt_at as "nextAttemptAt", dead_at as "diedAt", history
         from ((select * from ${this.schema}.inbox_parked
                 where consumer = any($2) and key = $1 and holds_key order by id desc limit ${MOST})
               union all
               (select * from ${this.schema}.inbox_parked
                 where consumer = any($2) and key = $1 and not holds_key order by id desc limit ${MOST})) as held
        order by held.id desc limit ${MOST}`,
      [Buffer.from(aggregateId), this.options.consumes.map(({ groupId }) => groupId)],
    );
    return rows.map((row) => ({ ...row, history: historyOf(row.history) })).toReversed();
  }

  private async jobs(db: DataSource, aggregateId: string): Promise<JobOfAggregate[]> {
    // jobs_aggregate
    const rows: (Omit<JobOfAggregate, 'history'> & { history: StoredHistory })[] = await db.query(
      `select id, queue, attempts, error, created_at as "createdAt", run_at as "runAt", lease is not null as running,
              dead_at as "diedAt", history
         from ${this.schema}.jobs where aggregate_id = $1 order by created_at desc, id limit ${MOST}`,
      [aggregateId],
    );
    return rows.map((row) => ({ ...row, history: historyOf(row.history) })).toReversed();
  }
}
