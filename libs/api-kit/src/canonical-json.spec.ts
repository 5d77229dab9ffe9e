import fc from 'fast-check';
import { canonicalJson } from './canonical-json.js';

/** The same value with the members of every object in another order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, inner]) => [name, reversed(inner)] as const);
  return Object.fromEntries(members.toReversed());
}

const value = fc.jsonValue().filter((it) => !JSON.stringify(it).includes('__proto__'));

it('is the same text for the same value, whatever the order of its members', () => {
  fc.assert(fc.property(value, (it) => expect(canonicalJson(reversed(it))).toBe(canonicalJson(it))));
});

it('is another text for another value', () => {
  fc.assert(fc.property(value, (it) => expect(JSON.parse(canonicalJson(it))).toEqual(JSON.parse(JSON.stringify(it)))));
});

it('is nothing for nothing', () => {
  expect(canonicalJson(undefined)).toBe('');
});
