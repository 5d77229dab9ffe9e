import { validationProblem } from './validation.js';

/**
 * The most values that a request may have, each object, list and scalar counted. The largest valid body, an order of 100 lines with
 * a price each, has 404; the largest valid query has about 30.
 */
const MOST_VALUES = { body: 500, query: 100 } as const;
/** The most levels of a body. Our own bodies have three; a provider's webhook may have more. */
const MOST_LEVELS = 32;

/**
 * Refuses a body or a query with more values than any valid request has, before anything that costs time per value looks at it:
 * hashing, transformation and validation take milliseconds for what fits into these limits, and seconds for 100 kB of `{}`.
 * Stops counting at the limit.
 * @throws ProblemException (400)
 */
export function refuseExcess(value: unknown, part: keyof typeof MOST_VALUES): void {
  const most = MOST_VALUES[part];
  let count = 1;
  let level: readonly unknown[] = [value];
  for (let depth = 1; level.length > 0; depth++) {
    const next: unknown[] = [];
    for (const here of level) {
      if (typeof here !== 'object' || here === null) continue;
      const inner: readonly unknown[] = Array.isArray(here) ? here : Object.values(here);
      if (inner.length > 0 && depth >= MOST_LEVELS) throw excess(part, 'is nested too deeply');
      count += inner.length;
      if (count > most) throw excess(part, `must not have more than ${most} values`);
      next.push(...inner);
    }
    level = next;
  }
}

function excess(part: keyof typeof MOST_VALUES, detail: string) {
  return validationProblem([part === 'body' ? { pointer: '#', detail } : { parameter: '*', detail }]);
}
