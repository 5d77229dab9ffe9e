import { type GroupLag } from '../kafka/group-offsets.js';
import { type InboxCounts } from '../operations/inbox-counts.js';
import { type CachedReading } from './cached-reading.js';
import { type MetricSet } from './metric-set.js';
import { type TableReading } from './metrics-store.js';
import { type Labels } from './sampled-metric.js';

type Inboxes = ReadonlyMap<string, Readonly<InboxCounts>>;
type Lags = CachedReading<readonly GroupLag[]>;

/** Adds the metrics of the consumers: the counts of this process, what their tables contain, and how far they are behind. */
export function addInboxMetrics(metrics: MetricSet, inboxes: Inboxes, lags: Lags): void {
  addMessages(metrics, inboxes);
  addParked(metrics);
  addLag(metrics, lags);
}

function addMessages(metrics: MetricSet, inboxes: Inboxes): void {
  const ofConsumers = (name: string, help: string, read: (counts: Readonly<InboxCounts>) => [Labels, number][]) =>
    metrics.counter(name, help, () =>
      [...inboxes].flatMap(([consumer, counts]) =>
        read(counts).map(([labels, value]) => ({ labels: { consumer, ...labels }, value })),
      ),
    );
  ofConsumers('messaging_inbox_messages_total', 'Messages by outcome.', (counts) => [
    [{ outcome: 'processed' }, counts.processed],
    [{ outcome: 'duplicate' }, counts.duplicates],
    [{ outcome: 'passed_over' }, counts.ignored],
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
}

function addParked(metrics: MetricSet): void {
  const parked = (name: string, help: string, read: (inbox: TableReading['inboxes'][number]) => number) =>
    metrics.ofTables(name, help, ({ inboxes }) =>
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
}

function addLag(metrics: MetricSet, lags: Lags): void {
  const ofPartitions = (name: string, help: string, read: (partition: GroupLag['partitions'][number]) => number) =>
    metrics.gauge(name, help, async () =>
      ((await lags.get()) ?? []).flatMap(({ groupId: consumer, topic, partitions }) =>
        partitions.map((of) => ({ labels: { consumer, topic, partition: of.partition }, value: read(of) })),
      ),
    );
  ofPartitions(
    'messaging_consumer_lag_messages',
    'Messages of the partition that the consumer has not yet committed.',
    ({ messages }) => messages,
  );
  ofPartitions(
    'messaging_consumer_offset',
    'Offset from which the consumer continues in the partition. While there is lag, it must rise.',
    ({ offset }) => offset,
  );
}
