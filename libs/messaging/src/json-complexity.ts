/** class-transformer compares each field of an object with the others: a tenth of a second or more for so many comparisons. */
const MAX_COMPARISONS = 2e8;
/** Shorter JSON has too few fields for that, whatever is in it. */
const FEW_FIELDS_BYTES = 100_000;

/** Whether reading the JSON, which has so many bytes, into a class would hold the process up for long. */
export function hasTooManyFields(bytes: number, json: () => object): boolean {
  if (bytes < FEW_FIELDS_BYTES) return false;
  let comparisons = 0;
  // No recursion: it may be nested to any depth.
  const rest = [json()];
  for (let one = rest.pop(); one; one = rest.pop()) {
    const values: unknown[] = Object.values(one);
    if (!Array.isArray(one)) comparisons += values.length ** 2;
    if (comparisons > MAX_COMPARISONS) return true;
    for (const value of values) if (typeof value === 'object' && value !== null) rest.push(value);
  }
  return false;
}

/** Validation descends by recursion, and can do so more than twice as deep. */
export const MAX_DEPTH = 500;

/** Whether the JSON text is nested deeper than {@link MAX_DEPTH}. */
export function isTooDeep(text: string): boolean {
  // Most text is short, or has too few brackets.
  if (text.length < 2 * MAX_DEPTH || brackets(text) <= MAX_DEPTH) return false;
  let depth = 0;
  for (const [bracket] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{\]}]/g)) {
    if (bracket === '[' || bracket === '{') depth++;
    else if (bracket === ']' || bracket === '}') depth--;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}

/** How many there are that open, those in strings included; counts no further than needed. */
function brackets(text: string): number {
  let count = 0;
  for (const bracket of ['{', '['])
    for (let at = text.indexOf(bracket); at >= 0 && count <= MAX_DEPTH; at = text.indexOf(bracket, at + 1)) count++;
  return count;
}

/** Whether the data has a number that its JSON does not: NaN and infinities become null. */
export function losesNumbers(data: unknown, text: string): boolean {
  return text.includes('null') && hasNonFinite(data);
}

function hasNonFinite(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return false;
  return Object.values(value).some(hasNonFinite);
}
