import { AsyncLocalStorage } from 'node:async_hooks';

const signals = new AsyncLocalStorage<AbortSignal | undefined>();

/** The reason of an aborted {@link requestSignal}. */
export class RequestAborted extends Error {
  override readonly name = 'RequestAborted';
}

/** Runs `work` for a caller who may give up, which aborts the signal, or without one for work on behalf of several callers. */
export function withRequestSignal<T>(signal: AbortSignal | undefined, work: () => T): T {
  return signals.run(signal, work);
}

/**
 * Returns the signal of the current request, which is aborted with a {@link RequestAborted} when its caller cancels it or its deadline
 * expires. Changes that are not committed yet must then be rolled back. Undefined for requests that cannot be cancelled.
 */
export function requestSignal(): AbortSignal | undefined {
  return signals.getStore();
}
