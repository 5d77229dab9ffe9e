import { Inject, Injectable } from '@nestjs/common';
import { describeError } from '../errors.js';
import { JobHandlers } from '../jobs/job-handlers.js';
import { consumerLags, type GroupLag } from '../kafka/group-offsets.js';
import { groupMembers, type GroupMembers } from '../kafka/group-members.js';
import { kafkaOptionsOf, MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { CachedReading } from '../metrics/cached-reading.js';
import { readTables, type TableReading } from '../metrics/metrics-store.js';
import { MessagingHealth } from '../operations/health.js';
import { DataSources } from '../postgres/data-sources.js';
import { problemsOf, STALLED_AFTER_MS } from './overview-problems.js';
import { type GroupOverview, type MessagingOverview, type PauseNote } from './overview-report.js';
import { readOverview, type StoredOverview } from './overview-store.js';

/** Calls within this time share one reading. */
const FRESH_MS = 1000;
/** How long the database, or Kafka, may take to answer. */
const BOUND_MS = 2000;
const OVERDUE_AFTER_MS = 30_000;

interface KafkaReading {
  readonly lags: readonly GroupLag[];
  readonly members: readonly GroupMembers[];
}

/**
 * The state of the service's messaging, read from its tables and Kafka. So every process of the service gives the same answer, even one
 * that neither publishes nor consumes. Only the problems of a consumer may differ: they include what this process itself fails at. Calls
 * within a second share one reading.
 *
 * @hideconstructor
 */
@Injectable()
export class Overview {
  private readonly kafka: CachedReading<KafkaReading>;
  private kafkaProblem: string | null = null;
  private latest: Promise<MessagingOverview> | undefined;
  private freshUntil = 0;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly dataSources: DataSources,
    private readonly jobHandlers: JobHandlers,
    private readonly health: MessagingHealth,
  ) {
    this.kafka = new CachedReading(
      () => this.readKafka(),
      { freshMs: FRESH_MS, boundMs: BOUND_MS },
      (error) => (this.kafkaProblem = describeError(error)),
    );
  }

  /**
   * Returns the overview. Without Kafka, which is waited for at most 2 s, its part is missing.
   * @throws if the database is unavailable, or needs more than 2 s
   */
  async read(): Promise<MessagingOverview> {
    if (this.latest && performance.now() < this.freshUntil) return this.latest;
    this.freshUntil = Infinity;
    const reading = this.readNow();
    this.latest = reading;
    reading.then(
      () => (this.freshUntil = performance.now() + FRESH_MS),
      () => (this.freshUntil = 0),
    );
    return reading;
  }

  private async readNow(): Promise<MessagingOverview> {
    const { schema, consumes, afterDeadLetter } = this.options;
    const consumers = consumes.map(({ groupId }) => groupId);
    const queues = this.jobHandlers.find().map(({ name }) => name);
    const db = this.dataSources.default;
    const holdKeys = afterDeadLetter !== 'go-on';
    const [tables, stored, kafka] = await Promise.all([
      // Without queues, because the overview reads those itself, including ones that no process handles any more.
      readTables(db, schema, { consumers, queues: [], holdKeys, dueSince: { parked: null, jobs: {} } }, BOUND_MS),
      readOverview(db, schema, { consumers, queues, boundMs: BOUND_MS }),
      this.kafka.get(),
    ]);
    return this.overviewOf(tables, stored, kafka);
  }

  private async readKafka(): Promise<KafkaReading> {
    const { consumes } = this.options;
    if (consumes.length === 0) return { lags: [], members: [] };
    const options = kafkaOptionsOf(this.options);
    const groups = consumes.map(({ groupId, topic }) => ({ groupId, topic: topic.name }));
    const [lags, members] = await Promise.all([
      consumerLags(options, groups, STALLED_AFTER_MS),
      groupMembers(
        options,
        groups.map(({ groupId }) => groupId),
      ),
    ]);
    return { lags, members };
  }

  private overviewOf(tables: TableReading, stored: StoredOverview, kafka: KafkaReading | undefined): MessagingOverview {
    const { consumes, overdueAfterMs = OVERDUE_AFTER_MS } = this.options;
    const pausedNote = (kind: string, name: string): PauseNote | null => {
      const pause = stored.pauses.find((of) => of.kind === kind && of.name === name);
      return pause ? { since: pause.since, actor: pause.actor, reason: pause.reason } : null;
    };
    const { held: isLed, ...lease } = stored.lease;
    const { ready, held, blocked, deadLetters } = tables;
    const found = {
      at: stored.at,
      relay: {
        ...lease,
        state: isLed ? ('leading' as const) : ('none' as const),
        paused: pausedNote('relay', 'relay'),
        unpublished: { ready, held, blocked },
        deadLetters: Object.values(deadLetters).reduce((sum, count) => sum + count, 0),
      },
      consumers: consumes.map(({ groupId: consumer, topic }) => {
        const inbox = tables.inboxes.find((of) => of.consumer === consumer);
        const own = stored.consumers.find((of) => of.consumer === consumer);
        return {
          consumer,
          topic: topic.name,
          paused: pausedNote('consumer', consumer),
          group: kafka ? groupOf(consumer, kafka) : null,
          inFlight: own?.inFlight ?? 0,
          inFlightSince: own?.inFlightSince ?? null,
          parked: inbox?.messages ?? 0,
          oldestParkedSeconds: inbox?.oldestSeconds ?? 0,
          latestFailure: own?.latestFailure ?? null,
          deadLetters: inbox?.deadLetters ?? 0,
          processedPerSecond: own?.processedPerSecond ?? 0,
        };
      }),
      queues: stored.queues.map((queue) => ({ ...queue, paused: pausedNote('queue', queue.queue) })),
      kafkaProblem: kafka ? null : this.kafkaProblem,
    };
    return { ...found, problems: problemsOf({ ...found, stored, ownErrors: this.ownErrors(), overdueAfterMs }) };
  }

  /** Returns what the consumers of this process fail at, by group, if they make no progress because of it. */
  private ownErrors(): ReadonlyMap<string, string> {
    const { components } = this.health.check();
    const errors = this.options.consumes.flatMap(({ groupId }) => {
      const report = components[`inbox ${groupId}`];
      const problem = report?.['problem'];
      return report?.healthy === false && typeof problem === 'string' ? [[groupId, problem] as const] : [];
    });
    return new Map(errors);
  }
}

function groupOf(consumer: string, { lags, members }: KafkaReading): GroupOverview {
  const { partitions = [], overdue = 0 } = lags.find(({ groupId }) => groupId === consumer) ?? {};
  const { state = 'Dead', members: count = 0 } = members.find(({ groupId }) => groupId === consumer) ?? {};
  return {
    lag: partitions.reduce((sum, { messages }) => sum + messages, 0),
    overdue,
    partitions: partitions.map(({ partition, messages }) => ({ partition, lag: messages })),
    state,
    members: count,
  };
}
