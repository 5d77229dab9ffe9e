/** Runs one step and prints a line when it is done. While the step is still running, prints its name and duration every `stillEveryMs`. */
export async function timed<T>(
  what: string,
  work: () => Promise<T>,
  print: (line: string) => void = console.log,
  stillEveryMs = 5_000,
): Promise<T> {
  const start = performance.now();
  const seconds = (digits: number) => ((performance.now() - start) / 1000).toFixed(digits);
  const still = setInterval(() => print(`  … ${what} (${seconds(0)} s so far)`), stillEveryMs);
  try {
    const result = await work();
    print(`  ✓ ${what} (${seconds(1)} s)`);
    return result;
  } finally {
    clearInterval(still);
  }
}
