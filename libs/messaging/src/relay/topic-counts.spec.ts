import { LATENCY_BOUNDS_MS, TopicCounts } from './topic-counts.js';
import { latencySamples } from '../metrics/sampled-metric.js';

const NOW = 1_700_000_000_000;
const aged = (ms: number) => ({ timestamp: String(NOW - ms) });

function bucketsOf(counts: TopicCounts): Record<string, number> {
  return Object.fromEntries(
    latencySamples('t', counts)
      .filter(({ suffix }) => suffix === '_bucket')
      .map(({ labels, value }) => [labels['le'], value]),
  );
}

describe('P9 the latency of published messages', () => {
  it('is counted in the bucket whose bound it does not exceed, and in every larger one', () => {
    const counts = new TopicCounts();

    counts.acknowledged([aged(1), aged(2), aged(3), aged(600_000), aged(600_001)], NOW);

    expect(bucketsOf(counts)).toMatchObject({ 0.001: 1, 0.002: 2, 0.005: 3, 300: 3, 600: 4, '+Inf': 5 });
    expect(Object.keys(bucketsOf(counts))).toHaveLength(LATENCY_BOUNDS_MS.length + 1);
    expect(counts.published).toBe(5);
  });

  it('is summed up in seconds', () => {
    const counts = new TopicCounts();

    counts.acknowledged([aged(500), aged(1000)], NOW);
    counts.acknowledged([aged(1500)], NOW);

    expect(latencySamples('t', counts)).toEqual(
      expect.arrayContaining([
        { labels: { topic: 't' }, value: 3, suffix: '_sum' },
        { labels: { topic: 't' }, value: 3, suffix: '_count' },
      ]),
    );
  });

  it('is zero rather than negative for a row of a database whose clock is ahead', () => {
    const counts = new TopicCounts();

    counts.acknowledged([aged(-5000)], NOW);

    expect(bucketsOf(counts)[0.001]).toBe(1);
    expect(counts.latencySumMs).toBe(0);
  });
});
