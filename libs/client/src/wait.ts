/** Waits. @throws the reason of the signal, as soon as it is aborted */
export function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Returns a random pause before an attempt, which doubles from one failure to the next: half of it is certain, half is random. */
export function backoff(failures: number, { first, most }: { readonly first: number; readonly most: number }): number {
  return Math.min(most, first * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
}
