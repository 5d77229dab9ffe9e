import fc from 'fast-check';
import { canonicalJson } from './canonical-json.js';

/** Returns the same value with the members of every object in a different order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, inner]) => [name, reversed(inner)] as const);
  return Object.fromEntries(members.toReversed());
}

const value = fc.jsonValue().filter((it) => !JSON.stringify(it).includes('__proto__'));

it('is the same for equal values, whatever the order of their members', () => {
  fc.assert(fc.property(value, (it) => expect(canonicalJson(reversed(it))).toBe(canonicalJson(it))));
});

it('differs for different values', () => {
  fc.assert(fc.property(value, (it) => expect(JSON.parse(canonicalJson(it))).toEqual(JSON.parse(JSON.stringify(it)))));
});

it('is empty for undefined', () => {
  expect(canonicalJson(undefined)).toBe('');
});
