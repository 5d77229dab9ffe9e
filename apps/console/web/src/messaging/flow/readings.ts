import { type MessagingOverview } from '@twinbox/client/admin';

/** What the overview says about one consumer at one time. */
export interface ConsumerReading {
  readonly processedPerSecond: number;
  /** Null while Kafka does not answer. */
  readonly lag: number | null;
}

/** The numbers of one overview that change from one reading to the next. */
export interface Reading {
  /** In milliseconds since 1970, by the clock of the service. */
  readonly at: number;
  readonly publishedPerSecond: number;
  readonly unpublished: number;
  readonly consumers: Readonly<Record<string, ConsumerReading>>;
}

/** How long readings are kept. */
const KEPT_MS = 15 * 60_000;
/** The service reports averages of a minute, so what is added to them is measured over a minute as well. */
const COMPARED_MS = 60_000;
/** Over a shorter time, a few messages more or less would look like a trend. */
const SHORTEST_MS = 5000;

export function readingOf({ at, relay, consumers }: MessagingOverview): Reading {
  const { ready, held, blocked } = relay.unpublished;
  return {
    at: Date.parse(at),
    publishedPerSecond: relay.publishedPerSecond,
    unpublished: ready.messages + held.messages + blocked.messages,
    consumers: Object.fromEntries(
      consumers.map(({ consumer, processedPerSecond, group }) => [
        consumer,
        { processedPerSecond, lag: group?.lag ?? null },
      ]),
    ),
  };
}

/** Adds a reading that is later than the last one, and drops those that are too old. */
export function withReading(readings: readonly Reading[], next: Reading): readonly Reading[] {
  const last = readings.at(-1);
  if (last && last.at >= next.at) return readings;
  return [...readings.filter(({ at }) => at > next.at - KEPT_MS), next];
}

/** What two readings say together: what is written and what arrives, which no single overview knows. */
export interface Trend {
  readonly writtenPerSecond: number | null;
  readonly consumers: Readonly<Record<string, ConsumerTrend>>;
}

export interface ConsumerTrend {
  readonly arrivingPerSecond: number;
  /** How long it takes to catch up at this speed; null if the consumer has caught up or falls behind. */
  readonly caughtUpInSeconds: number | null;
}

/** Compares the latest reading with one about a minute before it. Null for what is not known yet. */
export function trendOf(readings: readonly Reading[]): Trend {
  const last = readings.at(-1);
  const first = last && readings.find(({ at }) => at >= last.at - COMPARED_MS);
  const seconds = last && first ? (last.at - first.at) / 1000 : 0;
  if (!last || !first || seconds * 1000 < SHORTEST_MS) return { writtenPerSecond: null, consumers: {} };
  const consumers = Object.entries(last.consumers).flatMap(([name, now]) => {
    const before = first.consumers[name];
    return before === undefined || before.lag === null || now.lag === null
      ? []
      : [[name, consumerTrend(now.lag, (now.lag - before.lag) / seconds, now.processedPerSecond)] as const];
  });
  const growth = (last.unpublished - first.unpublished) / seconds;
  return {
    writtenPerSecond: Math.max(0, last.publishedPerSecond + growth),
    consumers: Object.fromEntries(consumers),
  };
}

function consumerTrend(lag: number, growth: number, processedPerSecond: number): ConsumerTrend {
  return {
    arrivingPerSecond: Math.max(0, processedPerSecond + growth),
    caughtUpInSeconds: lag > 0 && growth < 0 ? lag / -growth : null,
  };
}
