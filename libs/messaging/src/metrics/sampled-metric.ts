import { type Metric, type Registry } from 'prom-client';
import { LATENCY_BOUNDS_MS, type TopicCounts } from '../relay/topic-counts.js';

/** Label names and values of a sample. */
export type Labels = Readonly<Record<string, string | number>>;

/** One line of a metric. `suffix` is appended to the metric's name (`_bucket`, `_sum` and `_count` of a histogram). */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  readonly suffix?: string;
}

interface SampledMetric {
  readonly name: string;
  /** Describes what the metric counts or measures, with its unit unless the name has it. */
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Returns the current samples, or none if nothing is known. Must not throw. */
  readonly read: () => readonly Sample[] | Promise<readonly Sample[]>;
}

/**
 * Adds a metric whose samples are kept elsewhere and read when the registry is scraped. prom-client's own classes do not fit: its
 * counters would count everything a second time, its gauges keep showing the last value after it has become unknown, and its
 * histograms take one value at a time, at 200 ns each.
 */
export function addMetric(registry: Registry, { name, help, type, read }: SampledMetric): void {
  const metric = {
    name,
    async get() {
      const values = (await read()).map(({ labels, value, suffix = '' }) => ({
        labels,
        value,
        metricName: `${name}${suffix}`,
      }));
      return { name, help, type, aggregator: 'sum', values };
    },
    reset: () => undefined,
  };
  // The registry needs only these members, but its type demands prom-client's own classes.
  registry.registerMetric(metric as unknown as Metric);
}

/** Returns a topic's latencies as the samples of a histogram in seconds; its buckets are cumulative, as Prometheus expects. */
export function latencySamples(topic: string, { latencies, latencySumMs }: TopicCounts): Sample[] {
  let count = 0;
  const buckets = latencies.map((inBucket, n) => {
    count += inBucket;
    const bound = LATENCY_BOUNDS_MS[n];
    return { labels: { topic, le: bound === undefined ? '+Inf' : bound / 1000 }, value: count, suffix: '_bucket' };
  });
  return [
    ...buckets,
    { labels: { topic }, value: latencySumMs / 1000, suffix: '_sum' },
    { labels: { topic }, value: count, suffix: '_count' },
  ];
}
