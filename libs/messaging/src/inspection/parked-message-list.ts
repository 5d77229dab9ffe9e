import { Inject, Injectable } from '@nestjs/common';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { checkFilterTexts, type LetterPage, limitOf, type Page, toPage } from '../operations/operator.js';
import { DataSources } from '../postgres/data-sources.js';
import { historyOf, type StoredHistory } from '../postgres/failure-history.js';
import { type ParkedFilter, type ParkedMessage, type WholeParkedMessage } from './parked-message.js';
import { parkedSql } from './parked-message-sql.js';

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
  private readonly sql: ReturnType<typeof parkedSql>;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly dataSources: DataSources,
  ) {
    this.sql = parkedSql(options.schema);
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
    checkFilterTexts(consumer, topic, type, key);
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
