import { type BeforeApplicationShutdown, Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { DataSource, type EntityManager } from 'typeorm';
import { identityFlaw, textFlaw } from './column-text.js';
import { CommitWakeUp } from './commit-wake-up.js';
import { describeError, PermanentError } from './errors.js';
import { InboxStore, LOCK_TIMEOUT } from './inbox-store.js';
import { type InboxCounts, noCounts } from './inbox-work.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from './messaging-options.js';
import { MessagingMetrics } from './metrics.js';
import { quoteIdentifier } from './schema.js';
import { pause } from './waiting.js';

/** A message that comes another way than through Kafka: a webhook. */
export interface InboxRecord {
  /** Whose effect it has: a name beside those of the service's consumer groups. */
  readonly consumer: string;
  /** Who sent it: an id is unique within its source only. */
  readonly source: string;
  readonly messageId: string;
}

const HOUR_MS = 3600 * 1000;
const RETENTION_MS = 30 * 24 * HOUR_MS;
/** Between two chunks: the database has other things to do. */
const BREATHER_MS = 200;

/**
 * The inbox for messages that do not come through Kafka: what is recorded commits with its effect, so that it happens once
 * however often, and to whatever process, the message is sent (P4). It is remembered for 30 days. What became of messages is
 * counted by consumer in `messaging_inbox_messages_total`: `processed` with the commit, `duplicate` for what came before.
 */
@Injectable()
export class InboxRecords implements BeforeApplicationShutdown, OnApplicationShutdown {
  private readonly logger = new Logger('Inbox');
  private readonly insert: string;
  /** Those that this process records for: it tidies up after them, and so does each of the others. */
  private readonly consumers = new Map<string, { readonly counts: InboxCounts; readonly store: InboxStore }>();
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly modules: ModuleRef,
    private readonly metrics: MessagingMetrics,
    private readonly wakeUp: CommitWakeUp,
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
   * Records the message in the caller's transaction; false when it was recorded before, and that has committed. Of two
   * transactions with one message the second waits for the first to end, for a second at most: then it fails.
   *
   * Throws when `tx` is not in a transaction, and when the consumer is one of Kafka's; a PermanentError for a consumer, source or
   * id that the inbox cannot hold: one that is empty, is longer than 255 characters, or has a zero byte or half of a surrogate pair.
   */
  async once(tx: EntityManager, { consumer, source, messageId }: InboxRecord): Promise<boolean> {
    if (!tx.queryRunner?.isTransactionActive)
      throw new Error('InboxRecords.once must be called with the manager of an open transaction');
    if (this.options.consumes.some(({ groupId }) => groupId === consumer))
      throw new Error(`${consumer} is a consumer group, and has an inbox of its own`);
    checkRecord({ consumer, source, messageId });
    const counts = this.countsOf(consumer);
    this.running ??= this.prunePeriodically();
    const recorded: unknown[] = await tx.query(this.insert, [consumer, messageId, source]);
    const isNew = recorded.length > 0;
    if (isNew) this.wakeUp.onCommitOf(tx.queryRunner, () => counts.processed++);
    else counts.duplicates++;
    return isNew;
  }

  /** Shown with those of the consumers of Kafka's from the first message on. */
  private countsOf(consumer: string): InboxCounts {
    const known = this.consumers.get(consumer);
    if (known) return known.counts;
    const counts = noCounts();
    this.consumers.set(consumer, { counts, store: new InboxStore(this.options.schema, consumer, false) });
    this.metrics.watchInbox(consumer, counts);
    return counts;
  }

  beforeApplicationShutdown(): void {
    this.stopping.abort();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.running;
  }

  /** Forgets what is older than 30 days. @throws when the database is away: what is left is forgotten an hour later */
  async forget(): Promise<void> {
    const { signal } = this.stopping;
    for (const { store } of this.consumers.values())
      while (!signal.aborted && (await store.forget(this.dataSource, RETENTION_MS))) await pause(BREATHER_MS, signal);
  }

  /** Processes that were started together are not to do it together. */
  private async prunePeriodically(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await pause(HOUR_MS * (0.5 + Math.random() / 2), signal);
      if (signal.aborted) return;
      await this.forget().catch((error: unknown) => this.logger.warn(`Not tidied up: ${describeError(error)}`));
    }
  }

  /** Not injected: a process that only relays has none. */
  private get dataSource(): DataSource {
    return this.modules.get(DataSource, { strict: false });
  }
}

/** Two messages must not become one, and an error of the database would say less. */
function checkRecord({ consumer, source, messageId }: InboxRecord): void {
  for (const [name, text] of Object.entries({ consumer, source, messageId })) {
    const flaw = textFlaw(text);
    if (flaw !== undefined) throw new PermanentError(`The ${name} of a message for the inbox ${flaw}`);
  }
  const flaw = identityFlaw(messageId, source);
  if (flaw !== undefined) throw new PermanentError(`A message for the inbox: ${flaw}`);
}
