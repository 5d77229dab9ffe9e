/** The longest delay of a timer. A longer one would end at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** Starts a timer. It may end early if the delay is more than 24 days. */
export function after(ms: number, run: () => void): ReturnType<typeof setTimeout> {
  return setTimeout(run, Math.min(ms, LONGEST_MS));
}

/** Waits. @throws the reason of the signal, as soon as it is aborted */
export function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = after(ms, () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    });
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Returns the result of a function that knows nothing of the signal. @throws the reason of the signal, as soon as it is aborted */
export function unlessAborted<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    run()
      .finally(() => signal.removeEventListener('abort', stop))
      .then(resolve, reject);
  });
}

/** Returns a random pause before an attempt, which doubles from one failure to the next: half of it is certain, half is random. */
export function backoff(failures: number, { first, most }: { readonly first: number; readonly most: number }): number {
  return Math.min(most, first * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
}
