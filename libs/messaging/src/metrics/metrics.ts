import { Logger } from '@nestjs/common';
import { Registry } from 'prom-client';
import { type DataSource } from 'typeorm';
import { describeError } from '../errors.js';
import { consumerLags, type GroupLag } from '../kafka/group-offsets.js';
import { kafkaOptionsOf, type MessagingOptions } from '../messaging-options.js';
import { type InboxCounts } from '../operations/inbox-counts.js';
import { type JobCounts } from '../operations/job-counts.js';
import { type DueSince } from '../postgres/due-range.js';
import { CachedReading } from './cached-reading.js';
import { addInboxMetrics } from './inbox-metrics.js';
import { MetricSet } from './metric-set.js';
import { readTables, type TableReading } from './metrics-store.js';
import { addOutboxMetrics } from './outbox-metrics.js';
import { addRelayMetrics, type RelayCounts } from './relay-metrics.js';
import { addWorkMetrics } from './work-metrics.js';

/** How long a scrape waits for the database and, concurrently, for Kafka. */
const BOUND_MS = 2000;
const TABLES_FRESH_MS = 1000;
const LAGS_FRESH_MS = 5000;

/**
 * The Prometheus metrics of one service's messaging; docs/operations.md lists them. Counters count what this process did since it started.
 * Everything else is read from the database and Kafka when `registry.metrics()` is called, and is the same in every replica.
 *
 * A scrape takes at most 2 s and never fails. While the database or Kafka is unavailable, the metrics that come from it are left out,
 * and `messaging_scrape_errors_total` counts the failure.
 *
 * @hideconstructor
 */
export class MessagingMetrics {
  /** A separate registry instead of prom-client's global one, because several services may run in one process. */
  readonly registry = new Registry();
  private readonly logger = new Logger('Metrics');
  private readonly tables: CachedReading<TableReading>;
  private readonly lags: CachedReading<readonly GroupLag[]>;
  private readonly inboxes = new Map<string, Readonly<InboxCounts>>();
  private relay: RelayCounts | undefined;
  private queues: ReadonlyMap<string, Readonly<JobCounts>> = new Map();

  /** Calls `dataSource` no earlier than the first scrape. */
  constructor(
    options: MessagingOptions,
    dataSource: () => DataSource,
    dueSince: DueSince = { parked: null, jobs: {} },
  ) {
    const { schema, publishes, consumes, afterDeadLetter } = options;
    const consumers = consumes.map(({ groupId }) => groupId);
    const groups = consumes.map(({ groupId, topic }) => ({ groupId, topic: topic.name }));
    const holdKeys = afterDeadLetter !== 'go-on';
    this.tables = new CachedReading(
      async () =>
        readTables(dataSource(), schema, { consumers, queues: [...this.queues.keys()], holdKeys, dueSince }, BOUND_MS),
      { freshMs: TABLES_FRESH_MS, boundMs: BOUND_MS },
      (error) => this.logger.debug(`Cannot read metrics from the database: ${describeError(error)}`),
    );
    this.lags = new CachedReading(
      async () => (groups.length === 0 ? [] : consumerLags(kafkaOptionsOf(options), groups)),
      { freshMs: LAGS_FRESH_MS, boundMs: BOUND_MS },
      (error) => this.logger.debug(`Cannot read metrics from Kafka: ${describeError(error)}`),
    );
    const metrics = new MetricSet(this.registry, this.tables);
    addOutboxMetrics(metrics, publishes);
    addRelayMetrics(metrics, () => this.relay);
    addInboxMetrics(metrics, this.inboxes, this.lags);
    addWorkMetrics(metrics, () => this.queues, consumers);
    this.addScrapeErrors(metrics);
  }

  /**
   * Adds the metrics of this process's relay.
   * @internal
   */
  watchRelay(relay: RelayCounts): void {
    this.relay = relay;
  }

  /**
   * Adds the metrics of one consumer of this process: a Kafka consumer under its group id, or one of `InboxRecords` under its name.
   * @internal
   */
  watchInbox(consumer: string, counts: Readonly<InboxCounts>): void {
    this.inboxes.set(consumer, counts);
  }

  /**
   * Adds the metrics of the job queues that this process handles.
   * @internal
   */
  watchJobs(queues: ReadonlyMap<string, Readonly<JobCounts>>): void {
    this.queues = queues;
  }

  private addScrapeErrors(metrics: MetricSet): void {
    metrics.counter('messaging_scrape_errors_total', 'Failed attempts to read metrics from a source.', async () => {
      // Waits for both, so that the scrape in which a reading fails already counts it.
      await Promise.all([this.tables.get(), this.lags.get()]);
      return [
        { labels: { source: 'database' }, value: this.tables.failures },
        { labels: { source: 'kafka' }, value: this.lags.failures },
      ];
    });
  }
}
