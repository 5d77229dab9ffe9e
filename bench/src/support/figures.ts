/** A row of the table. */
export interface Figure {
  readonly what: string;
  readonly value: string;
  /** The goal in docs/benchmarks.md. */
  readonly goal?: string;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Formats `38400` as `38,400`. */
export const whole = (value: number): string => Math.round(value).toLocaleString('en');

/** The median ratio of two lists measured in the same rounds, because other load on the machine affected both alike. */
export function ratio(of: readonly number[], to: readonly number[]): string {
  return median(of.map((value, round) => value / (to[round] ?? Number.NaN))).toFixed(2);
}

export const spread = (values: readonly number[]): string =>
  `${whole(median(values))} (${whole(Math.min(...values))} to ${whole(Math.max(...values))})`;

export function printTable(figures: readonly Figure[]): void {
  const header: Figure = { what: 'what', value: 'measured', goal: 'goal' };
  const lines = [header, ...figures];
  const width = (text: (figure: Figure) => string) => Math.max(...lines.map((line) => text(line).length));
  const whatWidth = width(({ what }) => what);
  const valueWidth = width(({ value }) => value);
  for (const { what, value, goal } of lines)
    console.log(`${what.padEnd(whatWidth)}  ${value.padEnd(valueWidth)}  ${goal ?? ''}`.trimEnd());
}
