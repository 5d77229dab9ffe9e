// @ts-expect-error -- kafkajs has no types for its internals
import BrokerPool from 'kafkajs/src/cluster/brokerPool.js';
// @ts-expect-error -- kafkajs has no types for its internals
import ConsumerGroup from 'kafkajs/src/consumer/consumerGroup.js';
// @ts-expect-error -- kafkajs has no types for its internals
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import { setWallClock } from '../../test/wall-clock.js';
import { until } from '../testing/until.js';
import { patchKafkajs } from './kafkajs-patches.js';

const HOUR_MS = 3_600_000;
const logger = { debug: () => undefined, namespace: () => logger };

interface Queue {
  readonly inflight: ReadonlyMap<number, unknown>;
  push(request: object): void;
  maybeThrottle(throttleMs: number): void;
  scheduleRequestTimeoutCheck(): void;
  destroy(): void;
}

const queues: Queue[] = [];

function aQueue(options: object = {}): Queue {
  const queue = new (RequestQueue as new (options: object) => Queue)({
    logger,
    clientId: 'test',
    broker: 'test',
    maxInFlightRequests: null,
    requestTimeout: 50,
    enforceRequestTimeout: true,
    ...options,
  });
  queues.push(queue);
  return queue;
}

/** Pushes a request that is never answered. */
function push(queue: Queue, correlationId = 1) {
  const outcome = { sent: false, error: undefined as Error | undefined };
  queue.push({
    entry: { correlationId, resolve: () => undefined, reject: (error: Error) => (outcome.error = error) },
    expectResponse: true,
    sendRequest: () => (outcome.sent = true),
  });
  return outcome;
}

beforeAll(() => patchKafkajs());

afterEach(() => {
  setWallClock(0);
  for (const queue of queues.splice(0)) queue.destroy();
});

describe('kafkajs, after the clock of the machine was set', () => {
  it('P8 back, gives up a request without an answer', async () => {
    const queue = aQueue();
    queue.scheduleRequestTimeoutCheck();
    const request = push(queue);

    setWallClock(-HOUR_MS);

    await until('the request has failed', () => request.error);
    expect(request.error).toMatchObject({ name: 'KafkaJSRequestTimeoutError' });
    expect(queue.inflight.size).toBe(0);
  });

  it('P8 forward, gives up no request before its time', async () => {
    const [patient, short] = [aQueue({ requestTimeout: 60_000 }), aQueue()];
    for (const queue of [patient, short]) queue.scheduleRequestTimeoutCheck();
    const [request, beside] = [push(patient), push(short)];

    setWallClock(HOUR_MS);

    // Both are checked every 100 ms at most. The other one was checked, too, when this one has failed twice.
    await until('a short one has failed', () => beside.error);
    const next = push(short, 2);
    await until('and another', () => next.error);
    expect([request.error, patient.inflight.size]).toEqual([undefined, 1]);
  });

  it('P8 back, sends what a throttle delays once that has ended', async () => {
    const queue = aQueue();
    queue.maybeThrottle(30);
    const request = push(queue);
    expect(request.sent).toBe(false);

    setWallClock(-HOUR_MS);

    await until('the request is sent', () => request.sent);
  });

  it('forward, still respects a throttle', () => {
    const queue = aQueue();
    queue.maybeThrottle(60_000);

    setWallClock(HOUR_MS);

    expect(push(queue).sent).toBe(false);
  });

  it('P8 back, sends heartbeats at the same intervals', async () => {
    const sent: object[] = [];
    const group = new (
      ConsumerGroup as new (options: object) => {
        memberId: string;
        coordinator: object;
        heartbeat(options: { interval: number }): Promise<void>;
      }
    )({ logger, topics: [], topicConfigurations: {}, instrumentationEmitter: { emit: () => undefined } });
    group.memberId = 'member';
    group.coordinator = { heartbeat: async (payload: object) => sent.push(payload) };
    await group.heartbeat({ interval: 30 });
    await group.heartbeat({ interval: 60_000 });
    expect(sent.length).toBe(1);

    setWallClock(-HOUR_MS);
    await group.heartbeat({ interval: 60_000 });
    expect(sent.length).toBe(1);

    await until('the next is sent', async () => {
      await group.heartbeat({ interval: 30 });
      return sent.length === 2;
    });
  });

  it('back, refreshes metadata that would expire too late', async () => {
    let refreshed = 0;
    const pool = new (
      BrokerPool as new (options: object) => {
        metadata: object;
        metadataExpireAt: number;
        refreshMetadata: () => Promise<void>;
        refreshMetadataIfNecessary(topics: string[]): Promise<void>;
      }
    )({ logger, metadataMaxAge: 300_000 });
    pool.refreshMetadata = async () => void refreshed++;
    pool.metadata = { topicMetadata: [{ topic: 'orders' }] };
    pool.metadataExpireAt = Date.now() + 300_000;
    await pool.refreshMetadataIfNecessary(['orders']);
    expect(refreshed).toBe(0);

    setWallClock(-HOUR_MS);
    await pool.refreshMetadataIfNecessary(['orders']);

    expect(refreshed).toBe(1);
  });
});
