import { type MessagingOverview } from '@twinbox/client/admin';
import { anOverview } from './overview.fixtures.js';
import { type Reading, readingOf, trendOf, withReading } from './readings.js';

const START = Date.parse('2026-12-01T08:00:00Z');

/** A reading some seconds after the first one. */
function aReading(
  seconds: number,
  { unpublished = 0, lag = 0 }: { readonly unpublished?: number; readonly lag?: number | null } = {},
): Reading {
  return {
    at: START + seconds * 1000,
    publishedPerSecond: 10,
    unpublished,
    consumers: { 'payment-service': { processedPerSecond: 10, lag } },
  };
}

describe('readings of the overview', () => {
  it('count every message that is not published yet', () => {
    const overview: MessagingOverview = anOverview({
      unpublished: {
        ready: { messages: 3, oldestSeconds: 1 },
        held: { messages: 20, oldestSeconds: 90 },
        blocked: { messages: 100, oldestSeconds: 5 },
      },
    });

    expect(readingOf(overview).unpublished).toBe(123);
  });

  it('are added only once, although the same overview arrives again', () => {
    const readings = withReading([], aReading(0));

    expect(withReading(readings, aReading(0))).toBe(readings);
  });

  it('are kept for 15 minutes', () => {
    const readings = withReading([aReading(0), aReading(899)], aReading(900));

    expect(readings.map(({ at }) => (at - START) / 1000)).toEqual([899, 900]);
  });
});

describe('the trend', () => {
  it('is unknown after a single reading', () => {
    expect(trendOf([aReading(0)])).toEqual({ writtenPerSecond: null, consumers: {} });
  });

  it('is unknown within the first seconds, in which a few messages would count for much', () => {
    expect(trendOf([aReading(0), aReading(2, { unpublished: 50 })]).writtenPerSecond).toBeNull();
  });

  it('adds the growth of the outbox to what is published', () => {
    const trend = trendOf([aReading(0), aReading(10, { unpublished: 50 })]);

    expect(trend.writtenPerSecond).toBe(15);
  });

  it('never reports a negative rate while a backlog is published', () => {
    const trend = trendOf([aReading(0, { unpublished: 5000 }), aReading(10, { unpublished: 0 })]);

    expect(trend.writtenPerSecond).toBe(0);
  });

  it('compares with the reading of a minute ago, not with an older one', () => {
    const trend = trendOf([
      aReading(0, { unpublished: 9000 }),
      aReading(60, { unpublished: 0 }),
      aReading(120, { unpublished: 60 }),
    ]);

    expect(trend.writtenPerSecond).toBe(11);
  });

  it('estimates when a consumer has caught up', () => {
    const trend = trendOf([aReading(0, { lag: 300 }), aReading(10, { lag: 200 })]);

    expect(trend.consumers['payment-service']).toEqual({ arrivingPerSecond: 0, caughtUpInSeconds: 20 });
  });

  it('makes no estimate for a consumer that falls behind', () => {
    const trend = trendOf([aReading(0, { lag: 100 }), aReading(10, { lag: 200 })]);

    expect(trend.consumers['payment-service']).toEqual({ arrivingPerSecond: 20, caughtUpInSeconds: null });
  });

  it('leaves out a consumer whose lag Kafka does not report', () => {
    expect(trendOf([aReading(0), aReading(10, { lag: null })]).consumers).toEqual({});
  });
});
