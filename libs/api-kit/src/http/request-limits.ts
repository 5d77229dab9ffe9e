import { validationProblem } from './validation-problem.js';

/**
 * How many values a request may have. Each object, list and scalar counts. The largest valid body, an order of 100 lines with a price each,
 * has 404; the largest valid query has about 30.
 */
const MAX_VALUES = { body: 500, query: 100 } as const;
/** How many levels a body may have. The services' own bodies have three; a provider's webhook may have more. */
const MAX_LEVELS = 32;

/**
 * Rejects a body or a query that has more values than any valid request. It runs before hashing, transformation and validation, which cost
 * time per value: milliseconds within these limits, but seconds for 100 kB of `{}`. Stops counting at the limit.
 * @throws ProblemException 400
 */
export function rejectExcess(value: unknown, part: keyof typeof MAX_VALUES): void {
  const max = MAX_VALUES[part];
  let count = 1;
  let level: readonly unknown[] = [value];
  for (let depth = 1; level.length > 0; depth++) {
    const next: unknown[] = [];
    for (const here of level) {
      if (typeof here !== 'object' || here === null) continue;
      const inner: readonly unknown[] = Array.isArray(here) ? here : Object.values(here);
      if (inner.length > 0 && depth >= MAX_LEVELS) throw excess(part, 'is nested too deeply');
      count += inner.length;
      if (count > max) throw excess(part, `must not have more than ${max} values`);
      next.push(...inner);
    }
    level = next;
  }
}

function excess(part: keyof typeof MAX_VALUES, detail: string) {
  return validationProblem([part === 'body' ? { pointer: '#', detail } : { parameter: '*', detail }]);
}
