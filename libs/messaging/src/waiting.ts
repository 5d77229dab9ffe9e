import { setTimeout as delay } from 'node:timers/promises';
import { isRefused } from './errors.js';

/** Waits `ms`, or until `signal` aborts. Never throws; the caller's loop checks the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

export interface Rhythm {
  readonly firstMs: number;
  readonly everyMs: number;
  readonly stopping: AbortSignal;
}

/**
 * Does `work` again and again until `stopping` aborts. Before the first time it waits up to `firstMs`, and then each time up to
 * `everyMs`. Each wait takes a random part of that, at least half, so that processes that were started together do not all work at
 * the same time. Fails if `work` fails.
 */
export async function repeat({ firstMs, everyMs, stopping }: Rhythm, work: () => Promise<unknown>): Promise<void> {
  for (let maxMs = firstMs; ; maxMs = everyMs) {
    await pause(maxMs * (0.5 + Math.random() / 2), stopping);
    if (stopping.aborted) return;
    await work();
  }
}

/**
 * How long the consumers, and after them the relay, may take for a clean stop: together less than the 10 s that a stopping
 * service has. An unresponsive Kafka does not delay them further: messages in flight are delivered or sent again.
 */
export const STOP_MS = 4000;

/** Waits for `work` for at most `ms`. Returns false if it was not done by then. */
export async function settlesWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = new AbortController();
  try {
    return await Promise.race([work.then(() => true), pause(ms, late.signal).then(() => false)]);
  } finally {
    late.abort();
  }
}

/** Returns an exponential back-off with jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"), in milliseconds. */
export function backOffMs(attempt: number, firstMs: number, maxMs: number): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30));
  return ceiling / 2 + (Math.random() * ceiling) / 2;
}

/** The shortest wait before the next attempt of a client that was refused, because what Kafka refuses once it refuses again. */
const AFTER_REFUSAL_MS = 1000;

/** Returns how long to wait before another attempt at what has failed with `error`, in whole milliseconds. */
export function retryMs(error: unknown, attempt: number, firstMs: number, maxMs: number): number {
  return Math.round(Math.max(backOffMs(attempt, firstMs, maxMs), isRefused(error) ? AFTER_REFUSAL_MS : 0));
}

/** Wakes a loop. A call while nothing waits is remembered, so no wake-up is lost between work and wait. */
export class WakeUpCall {
  private called = false;
  private waiting: (() => void) | undefined;

  call(): void {
    this.called = true;
    this.waiting?.();
  }

  async wait(): Promise<void> {
    if (!this.called) await new Promise<void>((resolve) => (this.waiting = resolve));
    this.waiting = undefined;
    this.called = false;
  }
}
