/**
 * Serializes a value to JSON with the members of every object sorted by name, so that equal values have equal text.
 * @throws RangeError if the value is nested too deeply
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, sorted) ?? '';
}

function sorted(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members);
}
