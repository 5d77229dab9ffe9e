import { useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

/** One timer for everything on the page that shows how long ago something happened. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** The current time in steps of a second, or of a minute, which renders less often. */
export function useNow(stepMs: 1000 | 60_000 = 1000): number {
  return useSyncExternalStore(subscribe, () => Math.floor(Math.max(now, startedAt) / stepMs) * stepMs);
}

const startedAt = Date.now();
