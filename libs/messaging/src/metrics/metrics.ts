import { Logger } from '@nestjs/common';
import { Registry } from 'prom-client';
import { type DataSource } from 'typeorm';
import { describeError } from '../errors.js';
import { type InboxCounts } from '../inbox/inbox-work.js';
import { consumerLags, type GroupLag } from '../kafka/group-offsets.js';
import { type MessagingOptions } from '../messaging-options.js';
import { readTables, type TableReading } from './metrics-store.js';
import { type TopicCounts } from '../relay/topic-counts.js';
import { addMetric, type Labels, latencySamples, type Sample } from './sampled-metric.js';
import { type GapReport } from '../relay/old-gaps.js';
import { CachedReading } from './cached-reading.js';

/** How long a scrape waits for the database and, concurrently, for Kafka. */
const BOUND_MS = 2000;
const TABLES_FRESH_MS = 1000;
const LAGS_FRESH_MS = 5000;

/** What the relay of this process reports about itself. */
export interface RelayCounts {
  readonly leads: boolean;
  /** By topic name. */
  readonly counts: ReadonlyMap<string, TopicCounts>;
  readonly wentBack: number;
  readonly gaps: GapReport | undefined;
}

/**
 * The Prometheus metrics of one service's messaging; the README lists them. Counters count what this process did since it started.
 * Everything else is read from the database and Kafka when `registry.metrics()` is called, and is the same in every replica.
 *
 * A scrape takes at most 2 s and never fails. While the database or Kafka is unavailable, the metrics that come from it are left out,
 * and `messaging_scrape_errors_total` counts the failure.
 */
export class MessagingMetrics {
  /** A separate registry instead of prom-client's global one, because several services may run in one process. */
  readonly registry = new Registry();
  private readonly logger = new Logger('Metrics');
  private readonly tables: CachedReading<TableReading>;
  private readonly lags: CachedReading<readonly GroupLag[]>;
  private readonly inboxes = new Map<string, Readonly<InboxCounts>>();
  private relay: RelayCounts | undefined;

  /** Calls `dataSource` no earlier than the first scrape. */
  constructor(
    private readonly options: MessagingOptions,
    dataSource: () => DataSource,
  ) {
    const { schema, brokers, service: clientId, consumes, afterDeadLetter } = options;
    const consumers = consumes.map(({ groupId }) => groupId);
    const groups = consumes.map(({ groupId, topic }) => ({ groupId, topic: topic.name }));
    const holdKeys = afterDeadLetter !== 'go-on';
    this.tables = new CachedReading(
      async () => readTables(dataSource(), schema, { consumers, holdKeys, boundMs: BOUND_MS }),
      { freshMs: TABLES_FRESH_MS, boundMs: BOUND_MS },
      (error) => this.logger.debug(`Cannot read metrics from the database: ${describeError(error)}`),
    );
    this.lags = new CachedReading(
      async () => (groups.length === 0 ? [] : consumerLags({ brokers, clientId }, groups)),
      { freshMs: LAGS_FRESH_MS, boundMs: BOUND_MS },
      (error) => this.logger.debug(`Cannot read metrics from Kafka: ${describeError(error)}`),
    );
    this.addOutbox();
    this.addInboxes();
    this.addScrapeErrors();
  }

  /** Adds the metrics of this process's relay. */
  watchRelay(relay: RelayCounts): void {
    this.relay = relay;
  }

  /** Adds the metrics of one consumer of this process: a Kafka consumer under its group id, or one of `InboxRecords` under its name. */
  watchInbox(consumer: string, counts: Readonly<InboxCounts>): void {
    this.inboxes.set(consumer, counts);
  }

  private addOutbox(): void {
    this.ofTables(
      'messaging_outbox_unpublished_messages',
      'Messages that are committed but not yet published.',
      ({ ready, held, blocked }) => [
        { labels: { state: 'ready' }, value: ready.messages },
        { labels: { state: 'held' }, value: held.messages },
        { labels: { state: 'blocked' }, value: blocked.messages },
      ],
    );
    this.ofTables(
      'messaging_outbox_oldest_unpublished_age_seconds',
      'Age of the oldest message that is not yet published; 0 if there is none.',
      ({ ready, held, blocked }) => [
        { labels: { state: 'ready' }, value: ready.oldestSeconds },
        { labels: { state: 'held' }, value: held.oldestSeconds },
        { labels: { state: 'blocked' }, value: blocked.oldestSeconds },
      ],
    );
    this.ofTables(
      'messaging_outbox_dead_letters',
      'Messages that Kafka rejected and no operator has retried or discarded yet.',
      ({ deadLetters }) => this.byTopic(deadLetters),
    );
    const ofTopics = (name: string, help: string, count: (topic: TopicCounts) => number) =>
      this.counter(name, help, () =>
        [...(this.relay?.counts ?? [])].map(([topic, counts]) => ({ labels: { topic }, value: count(counts) })),
      );
    ofTopics('messaging_outbox_published_total', 'Messages that Kafka acknowledged.', (topic) => topic.published);
    ofTopics(
      'messaging_outbox_send_failures_total',
      'Sends with messages of the topic that Kafka did not acknowledge; they are retried.',
      (topic) => topic.sendFailures,
    );
    ofTopics(
      'messaging_outbox_dead_lettered_total',
      'Messages that Kafka rejected because of their contents.',
      (topic) => topic.deadLetters,
    );
    addMetric(this.registry, {
      name: 'messaging_outbox_publish_latency_seconds',
      help: 'Time from writing the outbox row to the acknowledgement by Kafka.',
      type: 'histogram',
      read: () => [...(this.relay?.counts ?? [])].flatMap(([topic, counts]) => latencySamples(topic, counts)),
    });
    this.gauge(
      'messaging_relay_leader',
      '1 if the relay of this process is the leader, which publishes; otherwise 0.',
      () => (this.relay ? [{ labels: {}, value: Number(this.relay.leads) }] : []),
    );
    this.counter(
      'messaging_relay_positions_went_back_total',
      'How often the relay of this process found that the outbox, its sequence or the database had gone back to an earlier state.',
      () => (this.relay ? [{ labels: {}, value: this.relay.wentBack }] : []),
    );
    const ofGaps = (name: string, help: string, read: (gaps: GapReport | undefined) => Sample[]) =>
      this.gauge(name, help, () => (this.relay?.leads ? read(this.relay.gaps) : []));
    ofGaps('messaging_relay_gaps', "Gaps below the relay's position that are older than 2 s.", (gaps) => [
      { labels: {}, value: gaps?.spans ?? 0 },
    ]);
    ofGaps('messaging_relay_gap_positions', 'Positions in these gaps.', (gaps) => [
      { labels: {}, value: gaps?.positions ?? 0 },
    ]);
    ofGaps(
      'messaging_relay_oldest_gap_age_seconds',
      'Time since the oldest of these gaps was first seen; 0 if there is none.',
      (gaps) => [{ labels: {}, value: (gaps?.forMs ?? 0) / 1000 }],
    );
    ofGaps(
      'messaging_relay_gap_writer_age_seconds',
      'Age of the oldest transaction that may fill these gaps, by application name.',
      (gaps) =>
        gaps?.writer
          ? [{ labels: { application: gaps.writer.application ?? '' }, value: gaps.writer.seconds ?? 0 }]
          : [],
    );
  }

  private addInboxes(): void {
    const ofConsumers = (name: string, help: string, read: (counts: Readonly<InboxCounts>) => [Labels, number][]) =>
      this.counter(name, help, () =>
        [...this.inboxes].flatMap(([consumer, counts]) =>
          read(counts).map(([labels, value]) => ({ labels: { consumer, ...labels }, value })),
        ),
      );
    ofConsumers('messaging_inbox_messages_total', 'Messages by outcome.', (counts) => [
      [{ outcome: 'processed' }, counts.processed],
      [{ outcome: 'duplicate' }, counts.duplicates],
      [{ outcome: 'passed_over' }, counts.passedOver],
      [{ outcome: 'unknown_type' }, counts.unknownTypes],
      [{ outcome: 'parked' }, counts.parked],
      [{ outcome: 'dead' }, counts.deadLetters],
    ]);
    ofConsumers('messaging_inbox_failed_attempts_total', 'Failed attempts of handlers.', (counts) => [
      [{}, counts.failedAttempts],
    ]);
    ofConsumers(
      'messaging_inbox_setbacks_total',
      "Failures that were the environment's fault and did not count as attempts.",
      (counts) => [[{}, counts.setbacks]],
    );
    ofConsumers(
      'messaging_inbox_missed_messages_total',
      'Messages that Kafka deleted before the consumer read them.',
      (counts) => [[{}, counts.missed]],
    );
    const parked = (name: string, help: string, read: (inbox: TableReading['inboxes'][number]) => number) =>
      this.ofTables(name, help, ({ inboxes }) =>
        inboxes.map((inbox) => ({ labels: { consumer: inbox.consumer }, value: read(inbox) })),
      );
    parked(
      'messaging_inbox_parked_messages',
      'Messages that wait for their next attempt or behind another message of their key.',
      ({ messages }) => messages,
    );
    parked(
      'messaging_inbox_oldest_parked_age_seconds',
      'How long the oldest parked message has been parked; 0 if there is none.',
      ({ oldestSeconds }) => oldestSeconds,
    );
    parked(
      'messaging_inbox_dead_letters',
      'Dead letters that no operator has retried or discarded yet.',
      ({ deadLetters }) => deadLetters,
    );
    this.gauge(
      'messaging_consumer_lag_messages',
      'Messages of the partition that the consumer has not yet committed.',
      async () =>
        ((await this.lags.get()) ?? []).flatMap(({ groupId: consumer, topic, partitions }) =>
          partitions.map(({ partition, messages }) => ({ labels: { consumer, topic, partition }, value: messages })),
        ),
    );
  }

  private addScrapeErrors(): void {
    this.counter('messaging_scrape_errors_total', 'Failed attempts to read metrics from a source.', async () => {
      // Waits for both, so that the scrape in which a reading fails already counts it.
      await Promise.all([this.tables.get(), this.lags.get()]);
      return [
        { labels: { source: 'database' }, value: this.tables.failures },
        { labels: { source: 'kafka' }, value: this.lags.failures },
      ];
    });
  }

  /** Adds up the counts by topic. Dead letters of a contract that no longer exists count under `none`. */
  private byTopic(byAggregateType: Readonly<Record<string, number>>): Sample[] {
    const { publishes } = this.options;
    const topics = new Map(publishes.map(({ name }) => [name, 0]));
    for (const [type, count] of Object.entries(byAggregateType)) {
      const topic = publishes.find(({ aggregateType }) => aggregateType === type)?.name ?? 'none';
      topics.set(topic, (topics.get(topic) ?? 0) + count);
    }
    return [...topics].map(([topic, value]) => ({ labels: { topic }, value }));
  }

  private counter(name: string, help: string, read: () => readonly Sample[] | Promise<readonly Sample[]>): void {
    addMetric(this.registry, { name, help, type: 'counter', read });
  }

  private gauge(name: string, help: string, read: () => readonly Sample[] | Promise<readonly Sample[]>): void {
    addMetric(this.registry, { name, help, type: 'gauge', read });
  }

  private ofTables(name: string, help: string, read: (tables: TableReading) => readonly Sample[]): void {
    this.gauge(name, help, async () => {
      const tables = await this.tables.get();
      return tables ? read(tables) : [];
    });
  }
}
