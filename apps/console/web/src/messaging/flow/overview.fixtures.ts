import {
  type ConsumerOverview,
  type MessagingOverview,
  type QueueOverview,
  type RelayOverview,
} from '@twinbox/client/admin';

const NONE = { messages: 0, oldestSeconds: 0 };

/** The overview of a healthy service with one consumer and one queue. The values replace those of its relay. */
export function anOverview(
  relay: Partial<RelayOverview> = {},
  rest: Partial<MessagingOverview> = {},
): MessagingOverview {
  return {
    at: '2026-12-01T08:00:00.000Z',
    relay: {
      state: 'leading',
      holder: 'order-service-1',
      leasedUntil: '2026-12-01T08:00:04.000Z',
      fencingToken: '1',
      paused: null,
      unpublished: { ready: NONE, held: NONE, blocked: NONE },
      gaps: 0,
      deadLetters: 0,
      publishedPerSecond: 12,
      ...relay,
    },
    consumers: [aConsumer()],
    queues: [aQueue()],
    kafkaProblem: null,
    problems: [],
    ...rest,
  };
}

export function aConsumer(values: Partial<ConsumerOverview> = {}): ConsumerOverview {
  return {
    consumer: 'payment-service',
    topic: 'order.events',
    paused: null,
    group: { lag: 0, partitions: [], state: 'Stable', members: 1, overdue: 0 },
    inFlight: 0,
    inFlightSince: null,
    parked: 0,
    latestFailure: null,
    oldestParkedSeconds: 0,
    deadLetters: 0,
    processedPerSecond: 12,
    ...values,
  };
}

export function aQueue(values: Partial<QueueOverview> = {}): QueueOverview {
  return {
    queue: 'charge',
    paused: null,
    due: 0,
    dueSince: null,
    running: 0,
    retrying: 0,
    scheduled: 0,
    dead: 0,
    latestFailure: null,
    ...values,
  };
}
