// @ts-expect-error -- kafkajs has no types for its internals
import BrokerPool from 'kafkajs/src/cluster/brokerPool.js';
// @ts-expect-error -- kafkajs has no types for its internals
import ConsumerGroup from 'kafkajs/src/consumer/consumerGroup.js';
// @ts-expect-error -- kafkajs has no types for its internals
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
// @ts-expect-error -- kafkajs has no types for its internals
import SocketRequest from 'kafkajs/src/network/requestQueue/socketRequest.js';

/**
 * kafkajs 2.2.4 measures durations with the clock of the machine, which an operator or NTP may set. After it was set back by an hour,
 * a consumer sent no heartbeat for an hour and lost its partitions each time it got them, a request without an answer did not time
 * out, a throttled connection sent nothing, and metadata were not refreshed. After it was set forward, every request in flight timed
 * out. With these patches a monotonic clock measures them.
 */
export function patchClock(): void {
  patchHeartbeats();
  patchRequestTimeouts();
  patchThrottling();
  patchMetadataAge();
}

interface Member {
  readonly memberId: string | null;
  heartbeat: (this: Member, options: { readonly interval: number }) => Promise<void>;
}

function patchHeartbeats(): void {
  const { prototype } = ConsumerGroup as { prototype: Member };
  const send = prototype.heartbeat;
  const sentAt = new WeakMap<Member, number>();
  prototype.heartbeat = async function ({ interval }) {
    if (performance.now() < (sentAt.get(this) ?? -Infinity) + interval) return;
    const isMember = Boolean(this.memberId);
    // Whatever the clock of the machine says, the heartbeat is due.
    await send.call(this, { interval: -Infinity });
    if (isMember) sentAt.set(this, performance.now());
  };
}

interface Request {
  readonly requestTimeout: number;
  send: (this: Request) => void;
  timeoutRequest(): void;
}

interface Queue {
  readonly inflight: ReadonlyMap<number, Request>;
  readonly pending: readonly unknown[];
  readonly maxInFlightRequests: number | null;
  readonly requestTimeout: number;
  readonly enforceRequestTimeout: boolean;
  requestTimeoutIntervalId: NodeJS.Timeout;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  throttledUntil: number;
  destroy(): void;
  isConnected(): boolean;
  checkPendingRequests(): void;
  scheduleRequestTimeoutCheck: (this: Queue) => void;
  maybeThrottle: (this: Queue, throttleMs: number | null) => void;
  canSendSocketRequestImmediately: (this: Queue) => boolean;
  scheduleCheckPendingRequests: (this: Queue) => void;
}

/** How often requests in flight are checked, as by kafkajs. */
const TIMEOUT_CHECK_MS = 100;

function patchRequestTimeouts(): void {
  const request = (SocketRequest as { prototype: Request }).prototype;
  const send = request.send;
  const sentAt = new WeakMap<Request, number>();
  request.send = function () {
    send.call(this);
    sentAt.set(this, performance.now());
  };
  (RequestQueue as { prototype: Queue }).prototype.scheduleRequestTimeoutCheck = function () {
    if (!this.enforceRequestTimeout) return;
    this.destroy();
    const check = () => {
      for (const waiting of this.inflight.values())
        if (performance.now() - (sentAt.get(waiting) ?? Infinity) > waiting.requestTimeout) waiting.timeoutRequest();
      if (!this.isConnected()) this.destroy();
    };
    this.requestTimeoutIntervalId = setInterval(check, Math.min(this.requestTimeout, TIMEOUT_CHECK_MS));
  };
}

/** How soon a request that waits for another one is checked again, as by kafkajs. */
const PENDING_CHECK_MS = 10;

function patchThrottling(): void {
  const queue = (RequestQueue as { prototype: Queue }).prototype;
  queue.maybeThrottle = function (throttleMs) {
    if (throttleMs !== null && throttleMs > 0)
      this.throttledUntil = Math.max(performance.now() + throttleMs, this.throttledUntil);
  };
  queue.canSendSocketRequestImmediately = function () {
    const isFull = this.inflight.size >= (this.maxInFlightRequests ?? Infinity);
    return !isFull && this.throttledUntil <= performance.now();
  };
  queue.scheduleCheckPendingRequests = function () {
    // kafkajs also sets the timer when no request waits, to a time in 1970. It then fired every millisecond for as long as the
    // connection lived (2.5 % of a core was seen in an idle process). A request that has to wait later sets the timer itself.
    if (this.pending.length === 0 || this.throttleCheckTimeoutId) return;
    const waitMs = this.throttledUntil - performance.now();
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      waitMs > 0 ? waitMs : PENDING_CHECK_MS,
    );
  };
}

interface Pool {
  readonly metadataMaxAge: number;
  metadataExpireAt: number | null;
  refreshMetadataIfNecessary: (this: Pool, topics: readonly string[]) => Promise<void>;
}

function patchMetadataAge(): void {
  const { prototype } = BrokerPool as { prototype: Pool };
  const refresh = prototype.refreshMetadataIfNecessary;
  prototype.refreshMetadataIfNecessary = function (topics) {
    // The clock was set back. kafkajs refreshes metadata that never expire.
    if (this.metadataExpireAt !== null && this.metadataExpireAt > Date.now() + this.metadataMaxAge)
      this.metadataExpireAt = null;
    return refresh.call(this, topics);
  };
}
