/**
 * Runs one step and says when it is done. One that takes longer than `stillEveryMs` says so, again and again: nobody waits without
 * knowing for what.
 */
export async function timed<T>(
  what: string,
  work: () => Promise<T>,
  say: (line: string) => void = console.log,
  stillEveryMs = 5_000,
): Promise<T> {
  const start = performance.now();
  const seconds = (digits: number) => ((performance.now() - start) / 1000).toFixed(digits);
  const still = setInterval(() => say(`  … ${what} (${seconds(0)} s so far)`), stillEveryMs);
  try {
    const result = await work();
    say(`  ✓ ${what} (${seconds(1)} s)`);
    return result;
  } finally {
    clearInterval(still);
  }
}
