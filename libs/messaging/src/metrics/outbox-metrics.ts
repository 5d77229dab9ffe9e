import { type TopicContract } from '../message/topic.js';
import { type MetricSet } from './metric-set.js';
import { type Sample } from './sampled-metric.js';

/** Adds the metrics of the outbox, which are read from its tables. */
export function addOutboxMetrics(metrics: MetricSet, topics: readonly TopicContract[]): void {
  metrics.ofTables(
    'messaging_outbox_unpublished_messages',
    'Messages that are committed but not yet published.',
    ({ ready, held, blocked }) => [
      { labels: { state: 'ready' }, value: ready.messages },
      { labels: { state: 'held' }, value: held.messages },
      { labels: { state: 'blocked' }, value: blocked.messages },
    ],
  );
  metrics.ofTables(
    'messaging_outbox_oldest_unpublished_age_seconds',
    'Age of the oldest message that is not yet published; 0 if there is none.',
    ({ ready, held, blocked }) => [
      { labels: { state: 'ready' }, value: ready.oldestSeconds },
      { labels: { state: 'held' }, value: held.oldestSeconds },
      { labels: { state: 'blocked' }, value: blocked.oldestSeconds },
    ],
  );
  metrics.ofTables(
    'messaging_outbox_dead_letters',
    'Messages that Kafka rejected and no operator has retried or discarded yet.',
    ({ deadLetters }) => byTopic(topics, deadLetters),
  );
}

/** Adds up the counts by topic. Dead letters of a contract that no longer exists count under `none`. */
function byTopic(contracts: readonly TopicContract[], byAggregateType: Readonly<Record<string, number>>): Sample[] {
  const topics = new Map(contracts.map(({ name }) => [name, 0]));
  for (const [type, count] of Object.entries(byAggregateType)) {
    const topic = contracts.find(({ aggregateType }) => aggregateType === type)?.name ?? 'none';
    topics.set(topic, (topics.get(topic) ?? 0) + count);
  }
  return [...topics].map(([topic, value]) => ({ labels: { topic }, value }));
}
