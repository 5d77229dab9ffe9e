/** class-transformer compares each field of an object with all others. This many comparisons take a tenth of a second or more. */
const MAX_COMPARISONS = 2e8;
/** Shorter JSON cannot have enough fields for that. */
const FEW_FIELDS_BYTES = 100_000;

/** Whether converting the JSON to a class would block the process for long. `bytes` is the length of the JSON text. */
export function hasTooManyFields(bytes: number, json: () => object): boolean {
  if (bytes < FEW_FIELDS_BYTES) return false;
  let comparisons = 0;
  // Not recursive, because the JSON may be nested to any depth.
  const rest = [json()];
  for (let node = rest.pop(); node; node = rest.pop()) {
    const values: unknown[] = Object.values(node);
    if (!Array.isArray(node)) comparisons += values.length ** 2;
    if (comparisons > MAX_COMPARISONS) return true;
    for (const value of values) if (typeof value === 'object' && value !== null) rest.push(value);
  }
  return false;
}

/** Validation is recursive, and could go more than twice as deep. */
export const MAX_DEPTH = 500;

/** Whether the JSON text is nested deeper than {@link MAX_DEPTH}. */
export function isTooDeep(text: string): boolean {
  // Rules out most texts cheaply.
  if (text.length < 2 * MAX_DEPTH || brackets(text) <= MAX_DEPTH) return false;
  let depth = 0;
  for (const [bracket] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{\]}]/g)) {
    if (bracket === '[' || bracket === '{') depth++;
    else if (bracket === ']' || bracket === '}') depth--;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}

/** Counts the opening brackets, including those in strings, and stops as soon as there are too many. */
function brackets(text: string): number {
  let count = 0;
  for (const bracket of ['{', '['])
    for (let at = text.indexOf(bracket); at >= 0 && count <= MAX_DEPTH; at = text.indexOf(bracket, at + 1)) count++;
  return count;
}

/** Whether the data has a NaN or an infinity, which JSON turns into null. */
export function losesNumbers(data: unknown, text: string): boolean {
  return text.includes('null') && hasNonFinite(data);
}

function hasNonFinite(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return false;
  return Object.values(value).some(hasNonFinite);
}
