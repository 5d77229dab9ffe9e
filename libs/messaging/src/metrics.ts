import { Logger } from '@nestjs/common';
import { Registry } from 'prom-client';
import { type DataSource } from 'typeorm';
import { describeError } from './errors.js';
import { type InboxCounts } from './inbox-work.js';
import { consumerLags, type GroupLag } from './kafka.js';
import { type MessagingOptions } from './messaging-options.js';
import { readTables, type TableReading } from './metrics-store.js';
import { type TopicCounts } from './outbox-counts.js';
import { addMetric, type Labels, latencySamples, type Sample } from './sampled-metric.js';
import { type GapReport } from './relay.js';
import { Scraped } from './cached-reading.js';

/** So long a scrape waits for the database, and at the same time for Kafka. */
const BOUND_MS = 2000;
const TABLES_FRESH_MS = 1000;
const LAGS_FRESH_MS = 5000;

/** What the relay of this process tells of itself. */
export interface RelayCounts {
  readonly leads: boolean;
  /** By the topic's name. */
  readonly counts: ReadonlyMap<string, TopicCounts>;
  readonly wentBack: number;
  readonly gaps: GapReport | undefined;
}

/**
 * The metrics of one service's messaging, for Prometheus; the README lists them. Counters are this process's since it
 * started; what the database and Kafka hold is asked for when `registry.metrics()` is called, and is the same in every
 * replica.
 *
 * A scrape takes 2 s at most and never fails: while the database or Kafka is away, what only it knows is left out, and
 * counted in `messaging_scrape_errors_total`.
 */
export class MessagingMetrics {
  /** Of its own, not prom-client's global one: several services may live in one process. */
  readonly registry = new Registry();
  private readonly logger = new Logger('Metrics');
  private readonly tables: Scraped<TableReading>;
  private readonly lags: Scraped<readonly GroupLag[]>;
  private readonly inboxes = new Map<string, Readonly<InboxCounts>>();
  private relay: RelayCounts | undefined;

  /** `dataSource` is asked for with the first scrape. */
  constructor(
    private readonly options: MessagingOptions,
    dataSource: () => DataSource,
  ) {
    const { schema, brokers, service: clientId, consumes, afterDeadLetter } = options;
    const consumers = consumes.map(({ groupId }) => groupId);
    const groups = consumes.map(({ groupId, topic }) => ({ groupId, topic: topic.name }));
    const holdKeys = afterDeadLetter !== 'go-on';
    this.tables = new Scraped(
      async () => readTables(dataSource(), schema, { consumers, holdKeys, boundMs: BOUND_MS }),
      { freshMs: TABLES_FRESH_MS, boundMs: BOUND_MS },
      (error) => this.logger.debug(`The database does not tell: ${describeError(error)}`),
    );
    this.lags = new Scraped(
      async () => (groups.length === 0 ? [] : consumerLags({ brokers, clientId }, groups)),
      { freshMs: LAGS_FRESH_MS, boundMs: BOUND_MS },
      (error) => this.logger.debug(`Kafka does not tell: ${describeError(error)}`),
    );
    this.addOutbox();
    this.addInboxes();
    this.addScrapeErrors();
  }

  /** Shows what the relay of this process does. */
  watchRelay(relay: RelayCounts): void {
    this.relay = relay;
  }

  /** Shows what a consumer of this process does: one of Kafka's by its group, or one of `InboxRecords`. */
  watchInbox(groupId: string, counts: Readonly<InboxCounts>): void {
    this.inboxes.set(groupId, counts);
  }

  private addOutbox(): void {
    this.ofTables(
      'messaging_outbox_unpublished_messages',
      'Committed and not published yet.',
      ({ ready, held, blocked }) => [
        { labels: { state: 'ready' }, value: ready.messages },
        { labels: { state: 'held' }, value: held.messages },
        { labels: { state: 'blocked' }, value: blocked.messages },
      ],
    );
    this.ofTables(
      'messaging_outbox_oldest_unpublished_age_seconds',
      'Age of the oldest message that is not published yet; 0 without any.',
      ({ ready, held, blocked }) => [
        { labels: { state: 'ready' }, value: ready.oldestSeconds },
        { labels: { state: 'held' }, value: held.oldestSeconds },
        { labels: { state: 'blocked' }, value: blocked.oldestSeconds },
      ],
    );
    this.ofTables(
      'messaging_outbox_dead_letters',
      'Messages that Kafka has refused and nobody has retried or discarded.',
      ({ deadLetters }) => this.byTopic(deadLetters),
    );
    const ofTopics = (name: string, help: string, count: (topic: TopicCounts) => number) =>
      this.counter(name, help, () =>
        [...(this.relay?.counts ?? [])].map(([topic, counts]) => ({ labels: { topic }, value: count(counts) })),
      );
    ofTopics('messaging_outbox_published_total', 'Messages that Kafka has acknowledged.', (topic) => topic.published);
    ofTopics(
      'messaging_outbox_send_failures_total',
      'Sends with messages of the topic that were not acknowledged, and are tried again.',
      (topic) => topic.sendFailures,
    );
    ofTopics(
      'messaging_outbox_dead_lettered_total',
      'Messages that Kafka has refused for themselves.',
      (topic) => topic.deadLetters,
    );
    addMetric(this.registry, {
      name: 'messaging_outbox_publish_latency_seconds',
      help: 'From the writing of the outbox row to the acknowledgement of Kafka.',
      type: 'histogram',
      read: () => [...(this.relay?.counts ?? [])].flatMap(([topic, counts]) => latencySamples(topic, counts)),
    });
    this.gauge('messaging_relay_leader', 'Whether the relay of this process publishes: 1, or 0.', () =>
      this.relay ? [{ labels: {}, value: Number(this.relay.leads) }] : [],
    );
    this.counter(
      'messaging_relay_positions_went_back_total',
      'How often the outbox, its sequence or the database went back under the relay of this process.',
      () => (this.relay ? [{ labels: {}, value: this.relay.wentBack }] : []),
    );
    const ofGaps = (name: string, help: string, read: (gaps: GapReport | undefined) => Sample[]) =>
      this.gauge(name, help, () => (this.relay?.leads ? read(this.relay.gaps) : []));
    ofGaps('messaging_relay_gaps', 'Gaps below the position of the relay that are older than 2 s.', (gaps) => [
      { labels: {}, value: gaps?.spans ?? 0 },
    ]);
    ofGaps('messaging_relay_gap_positions', 'Positions in these gaps.', (gaps) => [
      { labels: {}, value: gaps?.positions ?? 0 },
    ]);
    ofGaps(
      'messaging_relay_oldest_gap_age_seconds',
      'Since the oldest of these gaps was seen; 0 without any.',
      (gaps) => [{ labels: {}, value: (gaps?.forMs ?? 0) / 1000 }],
    );
    ofGaps(
      'messaging_relay_gap_writer_age_seconds',
      'Age of the oldest transaction that may fill these gaps, by the name of its application.',
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
    ofConsumers('messaging_inbox_messages_total', 'What became of messages, by outcome.', (counts) => [
      [{ outcome: 'processed' }, counts.processed],
      [{ outcome: 'duplicate' }, counts.duplicates],
      [{ outcome: 'passed_over' }, counts.passedOver],
      [{ outcome: 'unknown_type' }, counts.unknownTypes],
      [{ outcome: 'parked' }, counts.parked],
      [{ outcome: 'dead' }, counts.deadLetters],
    ]);
    ofConsumers('messaging_inbox_failed_attempts_total', 'Attempts that a handler failed.', (counts) => [
      [{}, counts.failedAttempts],
    ]);
    ofConsumers(
      'messaging_inbox_setbacks_total',
      'Failures that were the fault of the environment, and did not count as attempts.',
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
      'Messages that wait for their next attempt, or behind another of their key.',
      ({ messages }) => messages,
    );
    parked(
      'messaging_inbox_oldest_parked_age_seconds',
      'How long the oldest parked message has been so; 0 without any.',
      ({ oldestSeconds }) => oldestSeconds,
    );
    parked(
      'messaging_inbox_dead_letters',
      'Dead letters that nobody has retried or discarded.',
      ({ deadLetters }) => deadLetters,
    );
    this.gauge(
      'messaging_consumer_lag_messages',
      'Messages of the partition that the consumer has not committed.',
      async () =>
        ((await this.lags.get()) ?? []).flatMap(({ groupId: consumer, topic, partitions }) =>
          partitions.map(({ partition, messages }) => ({ labels: { consumer, topic, partition }, value: messages })),
        ),
    );
  }

  private addScrapeErrors(): void {
    this.counter('messaging_scrape_errors_total', 'Scrapes that a source did not answer.', async () => {
      // The scrape that meets a failure tells of it.
      await Promise.all([this.tables.get(), this.lags.get()]);
      return [
        { labels: { source: 'database' }, value: this.tables.failures },
        { labels: { source: 'kafka' }, value: this.lags.failures },
      ];
    });
  }

  /** A contract that is gone may have left letters behind. */
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
