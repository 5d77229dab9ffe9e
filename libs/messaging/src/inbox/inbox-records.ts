import { type BeforeApplicationShutdown, Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { identityFlaw, textFlaw } from '../message/column-text.js';
import { AfterCommit } from '../postgres/after-commit.js';
import { describeError, InvalidInputError, PermanentError } from '../errors.js';
import { InboxStore } from './inbox-store.js';
import { LOCK_TIMEOUT } from '../postgres/transaction.js';
import { type InboxCounts, noCounts } from '../operations/inbox-counts.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { MessagingMetrics } from '../metrics/metrics.js';
import { DataSources } from '../postgres/data-sources.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { pause, repeat } from '../waiting.js';

/** A message that does not arrive through Kafka, such as a webhook. */
export interface InboxRecord {
  /** The consumer that the message has its effect for. Must differ from the service's consumer groups. */
  readonly consumer: string;
  /** The sender. An id is unique only within its source. */
  readonly source: string;
  readonly messageId: string;
}

/** A message that a consumer has recorded. */
export interface FoundRecord extends InboxRecord {
  readonly receivedAt: Date;
}

const MAX_FOUND = 100;
const MAX_ROWS = 1000;
const HOUR_MS = 3600 * 1000;
const RETENTION_MS = 30 * 24 * HOUR_MS;
/** Pause between two chunks, so that the clean-up does not crowd out other work in the database. */
const BREATHER_MS = 200;

/**
 * The inbox for messages that do not arrive through Kafka. The record of a message commits together with its effect, so the
 * effect happens once, however often and to whichever process the message is sent (P4). Records are kept for 30 days.
 * `messaging_inbox_messages_total` counts messages by consumer: `processed` once the transaction commits, and `duplicate`.
 *
 * @hideconstructor
 */
@Injectable()
export class InboxRecords implements BeforeApplicationShutdown, OnApplicationShutdown {
  private readonly logger = new Logger('Inbox');
  private readonly insert: string;
  /** The consumers that this process has recorded messages for. Every process prunes the records of its own list. */
  private readonly consumers = new Map<string, { readonly counts: InboxCounts; readonly store: InboxStore }>();
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly dataSources: DataSources,
    private readonly metrics: MessagingMetrics,
    private readonly afterCommit: AfterCommit,
  ) {
    // inbox_pkey
    this.insert = `
      with settings as materialized (select set_config('lock_timeout', '${LOCK_TIMEOUT}', true))
      insert into ${quoteIdentifier(options.schema)}.inbox (consumer, message_id, source)
      select $1, $2, $3 from settings
          on conflict do nothing
      returning 1`;
  }

  /**
   * Records the message in the caller's transaction. Returns false if a committed transaction has already recorded it. If two
   * transactions record the same message, the second waits up to one second for the first to end, and then fails.
   *
   * Throws if `tx` is not in a transaction or the consumer is a Kafka consumer group. Throws a PermanentError if the inbox
   * cannot hold the consumer, source or id: it is empty, longer than 255 characters, or has a zero byte or half of a surrogate
   * pair.
   */
  async once(tx: EntityManager, { consumer, source, messageId }: InboxRecord): Promise<boolean> {
    if (!tx.queryRunner?.isTransactionActive)
      throw new Error('InboxRecords.once must be called with the manager of an open transaction');
    if (this.options.consumes.some(({ groupId }) => groupId === consumer))
      throw new Error(`${consumer} is a Kafka consumer group, which has its own inbox`);
    checkRecord({ consumer, source, messageId });
    const counts = this.countsOf(consumer);
    this.running ??= this.prunePeriodically();
    const recorded: unknown[] = await tx.query(this.insert, [consumer, messageId, source]);
    const isNew = recorded.length > 0;
    if (isNew) this.afterCommit.run(tx.queryRunner, () => counts.processed++);
    else counts.duplicates++;
    return isNew;
  }

  /**
   * Returns when the consumers of this service recorded these messages, at most 100 at once, the earliest first. A consumer has then
   * processed, parked or discarded the message. Consumers are those of Kafka and those of {@link once}.
   * @throws InvalidInputError for more than 100 ids, or a text that is not a message id
   */
  async find(messageIds: readonly string[]): Promise<FoundRecord[]> {
    if (messageIds.length > MAX_FOUND)
      throw new InvalidInputError(`At most ${MAX_FOUND} message ids are looked up at once`);
    for (const id of messageIds) {
      const flaw = textFlaw(id);
      if (flaw !== undefined) throw new InvalidInputError(`A message id ${flaw}`);
    }
    // inbox_pkey. A loose scan finds the consumers, because records of webhooks have consumers that only their process knows.
    const inbox = `${quoteIdentifier(this.options.schema)}.inbox`;
    return this.dataSources.default.query(
      `with recursive consumers as (
         (select consumer from ${inbox} order by consumer limit 1)
         union all
         select (select i.consumer from ${inbox} i where i.consumer > c.consumer order by i.consumer limit 1)
           from consumers c where c.consumer is not null)
       select i.consumer, i.source, i.message_id as "messageId", i.received_at as "receivedAt"
         from consumers c cross join unnest($1::text[]) as m (id)
        cross join lateral (select * from ${inbox} as one where one.consumer = c.consumer and one.message_id = m.id offset 0) as i
        order by i.received_at, i.consumer limit ${MAX_ROWS}`,
      [[...new Set(messageIds)]],
    );
  }

  /** Returns the counts of a consumer. The metrics show them from its first message on, next to those of Kafka consumers. */
  private countsOf(consumer: string): InboxCounts {
    const known = this.consumers.get(consumer);
    if (known) return known.counts;
    const counts = noCounts();
    this.consumers.set(consumer, { counts, store: new InboxStore(this.options.schema, consumer, false) });
    this.metrics.watchInbox(consumer, counts);
    return counts;
  }

  /** @internal */
  beforeApplicationShutdown(): void {
    this.stopping.abort();
  }

  /** @internal */
  async onApplicationShutdown(): Promise<void> {
    await this.running;
  }

  /**
   * Deletes records older than 30 days.
   * @throws if the database is unavailable; the rest is deleted an hour later
   * @internal
   */
  async forget(): Promise<void> {
    const { signal } = this.stopping;
    for (const { store } of this.consumers.values())
      while (!signal.aborted && (await store.forget(this.dataSources.default, RETENTION_MS)))
        await pause(BREATHER_MS, signal);
  }

  private prunePeriodically(): Promise<void> {
    return repeat({ firstMs: HOUR_MS, everyMs: HOUR_MS, stopping: this.stopping.signal }, () =>
      this.forget().catch((error: unknown) => this.logger.warn(`Cannot prune the inbox: ${describeError(error)}`)),
    );
  }
}

/** Rejects names that the database would refuse less clearly, or would store so that two messages look the same. */
function checkRecord({ consumer, source, messageId }: InboxRecord): void {
  for (const [name, text] of Object.entries({ consumer, source, messageId })) {
    const flaw = textFlaw(text);
    if (flaw !== undefined) throw new PermanentError(`The ${name} of a message for the inbox ${flaw}`);
  }
  const flaw = identityFlaw(messageId, source);
  if (flaw !== undefined) throw new PermanentError(`A message for the inbox: ${flaw}`);
}
