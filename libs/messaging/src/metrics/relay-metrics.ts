import { type TopicCounts } from '../relay/topic-counts.js';
import { type GapReport } from '../relay/old-gaps.js';
import { type MetricSet } from './metric-set.js';
import { latencySamples, type Sample } from './sampled-metric.js';

/** What the relay of this process reports about itself. */
export interface RelayCounts {
  readonly leads: boolean;
  /** By topic name. */
  readonly counts: ReadonlyMap<string, TopicCounts>;
  readonly wentBack: number;
  readonly gaps: GapReport | undefined;
}

/** Adds the metrics of this process's relay, once there is one. */
export function addRelayMetrics(metrics: MetricSet, relay: () => RelayCounts | undefined): void {
  addPublishing(metrics, relay);
  addLeadership(metrics, relay);
  addGaps(metrics, relay);
}

function addPublishing(metrics: MetricSet, relay: () => RelayCounts | undefined): void {
  const ofTopics = (name: string, help: string, count: (topic: TopicCounts) => number) =>
    metrics.counter(name, help, () =>
      [...(relay()?.counts ?? [])].map(([topic, counts]) => ({ labels: { topic }, value: count(counts) })),
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
  metrics.histogram(
    'messaging_outbox_publish_latency_seconds',
    'Time from writing the outbox row to the acknowledgement by Kafka.',
    () => [...(relay()?.counts ?? [])].flatMap(([topic, counts]) => latencySamples(topic, counts)),
  );
}

function addLeadership(metrics: MetricSet, relay: () => RelayCounts | undefined): void {
  metrics.gauge(
    'messaging_relay_leader',
    '1 if the relay of this process is the leader, which publishes; otherwise 0.',
    () => reportOf(relay).map(({ leads }) => ({ labels: {}, value: Number(leads) })),
  );
  metrics.counter(
    'messaging_relay_positions_went_back_total',
    'How often the relay of this process found that the outbox, its sequence or the database had gone back to an earlier state.',
    () => reportOf(relay).map(({ wentBack }) => ({ labels: {}, value: wentBack })),
  );
}

function addGaps(metrics: MetricSet, relay: () => RelayCounts | undefined): void {
  const ofGaps = (name: string, help: string, read: (gaps: GapReport | undefined) => Sample[]) =>
    metrics.gauge(name, help, () => reportOf(relay).flatMap((report) => (report.leads ? read(report.gaps) : [])));
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
      gaps?.writer ? [{ labels: { application: gaps.writer.application ?? '' }, value: gaps.writer.seconds ?? 0 }] : [],
  );
}

function reportOf(relay: () => RelayCounts | undefined): RelayCounts[] {
  const report = relay();
  return report ? [report] : [];
}
