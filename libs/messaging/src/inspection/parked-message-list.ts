import { Inject, Injectable } from '@nestjs/common';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { type LetterPage, limitOf, type Page, toPage } from '../operations/operator.js';
import { DataSources } from '../postgres/data-sources.js';
import { historyOf, type StoredHistory } from '../postgres/failure-history.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { type ParkedFilter, type ParkedMessage, type WholeParkedMessage } from './parked-message.js';

const SHOWN_KEY_BYTES = 1020;

type Row = Omit<ParkedMessage, 'key' | 'waitsFor'> & {
  key: Buffer | string | null;
  blocker: string | null;
  blockerDead: boolean | null;
};

/**
 * The messages that wait in outbox and inbox and are not dead.
 *
 * @hideconstructor
 */
@Injectable()
export class ParkedMessageList {
  private readonly sql: Readonly<
    Record<'outbox' | 'inbox', { readonly row: string; readonly from: string; readonly whole: string }>
  >;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly dataSources: DataSources,
  ) {
    const s = quoteIdentifier(options.schema);
    // A blocker is the first of its key, found by inbox_parked_arrival or outbox_parked_key.
    this.sql = {
      inbox: {
        row: `'inbox' as box, p.id::text as id, p.message_id as "messageId", p.type, substring(p.key for ${SHOWN_KEY_BYTES}) as key,
              p.consumer, p.topic, p.attempts, p.error, p.parked_at as since, p.next_attempt_at as "nextAttemptAt",
              b.id::text as blocker, b.dead_at is not null as "blockerDead"`,
        from: `${s}.inbox_parked p left join lateral (
              select e.id, e.dead_at from ${s}.inbox_parked e
               where e.consumer = p.consumer and e.key = p.key and e.holds_key and p.holds_key and e.id < p.id
                 and (e.dead_at is null or e.consumer <> all($1::text[]))
               order by e.id limit 1) as b on true
            where p.dead_at is null and ($2::bigint is null or p.id = $2) and ($3::bigint is null or p.id > $3)
              and ($4::text is null or p.consumer = $4) and ($5::text[] is null or p.topic = any($5))
              and ($6::text is null or p.type = $6) and ($7::bytea is null or p.key = $7)
            order by p.id limit $8`,
        whole: 'p.headers, p.value, p.history',
      },
      outbox: {
        row: `'outbox' as box, p.position::text as id, p.id::text as "messageId", p.type, p.aggregateid as key, null as consumer,
              p.aggregatetype as topic, 0 as attempts, null as error, p.created_at as since, null as "nextAttemptAt",
              b.position::text as blocker, true as "blockerDead"`,
        from: `${s}.outbox_parked p left join lateral (
              select e.position from ${s}.outbox_parked e
               where e.aggregatetype = p.aggregatetype and e.aggregateid = p.aggregateid and e.position < p.position
                 and e.dead_at is not null and e.aggregatetype <> all($1::text[])
               order by e.position limit 1) as b on true
            where p.dead_at is null and ($2::bigint is null or p.position = $2) and ($3::bigint is null or p.position > $3)
              and ($4::text is null) and ($5::text[] is null or p.aggregatetype = any($5))
              and ($6::text is null or p.type = $6) and ($7::bytea is null or p.aggregateid = convert_from($7, 'UTF8'))
            order by p.position limit $8`,
        whole: `null as headers, convert_to(p.payload, 'UTF8') as value, '[]'::jsonb as history`,
      },
    };
  }

  /**
   * Lists the matching messages in the order of their arrival. Served by the primary key of the box.
   * @throws RangeError for an invalid limit, cursor or text; TypeError for a consumer in the outbox
   */
  async list(filter: ParkedFilter, page: LetterPage = {}): Promise<Page<ParkedMessage>> {
    const limit = limitOf(page);
    const { row, from } = this.sqlOf(filter);
    if (page.cursor !== undefined) checkNumber('cursor', page.cursor);
    const rows: Row[] = await this.dataSources.default.query(
      `select ${row} from ${from}`,
      this.valuesOf(filter, { after: page.cursor, limit: limit + 1 }),
    );
    return toPage(
      rows.map((one) => this.toMessage(one)),
      limit,
      ({ id }) => id,
    );
  }

  /** Returns all details of a parked message; undefined if it does not wait (any more). @throws RangeError for an invalid id */
  async find(box: ParkedFilter['box'], id: string): Promise<WholeParkedMessage | undefined> {
    checkNumber('id', id);
    const { row, from, whole } = this.sqlOf({ box });
    const rows: (Row & Omit<WholeParkedMessage, keyof ParkedMessage | 'history'> & { history: StoredHistory })[] =
      await this.dataSources.default.query(
        `select ${row}, ${whole} from ${from}`,
        this.valuesOf({ box }, { id, limit: 1 }),
      );
    return rows.map((one) => ({
      ...this.toMessage(one),
      headers: one.headers,
      value: one.value,
      history: historyOf(one.history),
    }))[0];
  }

  private sqlOf({ box, consumer, topic, type, key }: ParkedFilter) {
    // Filters come from a command line or a URL, so the compiler has not checked them.
    if (!Object.hasOwn(this.sql, box)) throw new RangeError(`box must be outbox or inbox, not ${box as string}`);
    if (box === 'outbox' && consumer !== undefined)
      throw new TypeError('Outbox messages have no consumer to filter by');
    if ([consumer, topic, type, key].some((text) => text?.includes('\0')))
      throw new RangeError('A filter must not contain a zero byte');
    return this.sql[box];
  }

  private valuesOf(
    { box, consumer, topic, type, key }: ParkedFilter,
    { id, after, limit }: { id?: string; after?: string | undefined; limit: number },
  ): unknown[] {
    const { afterDeadLetter, consumes, publishes } = this.options;
    const inTopic = publishes.filter(({ name }) => name === topic).map(({ aggregateType }) => aggregateType);
    const topics = topic === undefined ? null : box === 'inbox' ? [topic] : inTopic;
    // Whose dead letters do not hold their keys.
    const goOn =
      box === 'inbox'
        ? consumes.filter((one) => one.afterDeadLetter === 'go-on').map(({ groupId }) => groupId)
        : afterDeadLetter === 'go-on'
          ? publishes.map(({ aggregateType }) => aggregateType)
          : [];
    const bytes = key === undefined ? null : Buffer.from(key);
    return [goOn, id ?? null, after ?? null, consumer ?? null, topics, type ?? null, bytes, limit];
  }

  private toMessage(row: Row): ParkedMessage {
    const {
      box,
      id,
      messageId,
      type,
      key,
      consumer,
      topic,
      attempts,
      error,
      since,
      nextAttemptAt,
      blocker,
      blockerDead,
    } = row;
    return {
      box,
      id,
      messageId,
      type,
      consumer,
      attempts,
      error,
      since,
      nextAttemptAt,
      key: key && key.toString().replaceAll('\0', '\uFFFD'),
      topic:
        box === 'inbox'
          ? topic
          : (this.options.publishes.find(({ aggregateType }) => aggregateType === topic)?.name ?? null),
      waitsFor: blocker === null ? null : { id: blocker, dead: blockerDead === true },
    };
  }
}

function checkNumber(what: string, text: string): void {
  if (!/^-?\d{1,18}$/.test(text)) throw new RangeError(`${JSON.stringify(text)} is not a valid ${what}`);
}
