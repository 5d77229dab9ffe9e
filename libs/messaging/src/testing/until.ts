import { setTimeout as delay } from 'node:timers/promises';

const SHORTEST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 80;

/**
 * Waits until `condition` returns something truthy, and returns that. A condition that throws is tried again. The pauses between the
 * calls grow with the time waited, so that a long wait costs little.
 * @throws after `timeoutMs`, with `what` and the last result of the condition
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 30_000,
): Promise<Exclude<Awaited<T>, null | undefined | false | 0 | ''>> {
  const start = performance.now();
  const end = start + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      last = await condition();
      if (last) return last as Exclude<Awaited<T>, null | undefined | false | 0 | ''>;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end)
      throw new Error(`Gave up waiting until ${what}, after ${timeoutMs} ms. Last result: ${shown(last)}`);
    await delay(Math.min(Math.max(SHORTEST_PAUSE_MS, (performance.now() - start) / 10), LONGEST_PAUSE_MS));
  }
}

function shown(value: unknown): string {
  return value instanceof Error
    ? (value.stack ?? value.message)
    : (JSON.stringify(value) ?? String(value)).slice(0, 1000);
}
