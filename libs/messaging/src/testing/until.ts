import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until `condition` gives something truthy, and returns it. A condition that throws is asked again.
 * @throws after `timeoutMs`, saying what was waited for and what the condition last gave
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 30_000,
): Promise<Exclude<Awaited<T>, null | undefined | false | 0 | ''>> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      last = await condition();
      if (last) return last as Exclude<Awaited<T>, null | undefined | false | 0 | ''>;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`Waited ${timeoutMs} ms in vain until ${what}; last: ${shown(last)}`);
    await delay(20);
  }
}

function shown(value: unknown): string {
  return value instanceof Error
    ? (value.stack ?? value.message)
    : (JSON.stringify(value) ?? String(value)).slice(0, 1000);
}
