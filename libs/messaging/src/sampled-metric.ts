import { type Metric, type Registry } from 'prom-client';
import { LATENCY_BOUNDS_MS, type TopicCounts } from './outbox-counts.js';

export type Labels = Readonly<Record<string, string | number>>;

/** One line of a metric. `suffix` is added to the metric's name (a histogram's `_bucket`, `_sum` and `_count`). */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  readonly suffix?: string;
}

interface SampledMetric {
  readonly name: string;
  /** What it counts or measures, with its unit where the name has none. */
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** The samples as they are now; none: nothing is known. Must not throw. */
  readonly read: () => readonly Sample[] | Promise<readonly Sample[]>;
}

/**
 * Adds a metric whose samples are kept elsewhere and read when the registry is scraped. prom-client's own counters would
 * count a second time what is counted already, its gauges show the last value when there is none now, and its histograms take
 * one value at a time, at 200 ns each.
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
  // What a registry asks of a metric; the type names prom-client's own classes.
  registry.registerMetric(metric as unknown as Metric);
}

/** A topic's latencies as the samples of a histogram in seconds: cumulative, as Prometheus wants them. */
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
