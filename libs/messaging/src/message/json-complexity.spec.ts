import fc from 'fast-check';
import { hasTooManyFields, isTooDeep, losesNumbers, MAX_DEPTH } from './json-complexity.js';

const object = (fields: number) => Object.fromEntries(Array.from({ length: fields }, (_, n) => [`f${n}`, 0]));

describe('hasTooManyFields', () => {
  const LONG = 1_000_000;

  it('does not parse JSON that is too short to have many', () => {
    const parse = () => {
      throw new Error('was parsed');
    };

    expect(hasTooManyFields(99_999, parse)).toBe(false);
    expect(() => hasTooManyFields(100_000, parse)).toThrow('was parsed');
  });

  it.each([
    ['one object with 14,000 fields', object(14_000), false],
    ['one object with 15,000 fields', object(15_000), true],
    ['two objects that are too much only together', { list: [object(11_000), object(11_000)] }, true],
    ['many small objects', { list: Array.from({ length: 10_000 }, () => object(10)) }, false],
    ['an array with many elements, which has no fields', { list: Array.from({ length: 100_000 }, () => 0) }, false],
    ['a field that is null', { ...object(10), none: null }, false],
  ])('judges %s', (_, json, expected) => {
    expect(hasTooManyFields(LONG, () => json)).toBe(expected);
  });

  it('finds them however deep they are, without recursion', () => {
    let json: object = object(15_000);
    for (let depth = 0; depth < 50_000; depth++) json = [json];

    expect(hasTooManyFields(LONG, () => json)).toBe(true);
  });
});

describe('isTooDeep', () => {
  const nested = (depth: number, inner = '') => '[{"a":'.repeat(depth / 2) + `[${inner}]` + '}]'.repeat(depth / 2);

  it('allows exactly the maximum depth', () => {
    expect(isTooDeep('['.repeat(MAX_DEPTH) + ' '.repeat(1000) + ']'.repeat(MAX_DEPTH))).toBe(false);
    expect(isTooDeep('['.repeat(MAX_DEPTH + 1) + ']'.repeat(MAX_DEPTH + 1))).toBe(true);
    expect(isTooDeep(nested(MAX_DEPTH))).toBe(true);
    expect(isTooDeep(`[${nested(MAX_DEPTH - 2, '"[[[["')}]`)).toBe(false);
  });

  it('counts depth and not brackets', () => {
    expect(isTooDeep(JSON.stringify(Array.from({ length: 1000 }, () => [{}])))).toBe(false);
  });

  it('ignores brackets in strings, and finds the end of each string', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('[', '{', '"', '\\', ']', 'a') }), (text) => {
        const strings = JSON.stringify(Array.from({ length: 1000 }, () => `${text}[`));
        const deep = nested(MAX_DEPTH, JSON.stringify(text));

        expect([isTooDeep(strings), isTooDeep(deep)]).toEqual([false, true]);
      }),
    );
  });
});

describe('losesNumbers', () => {
  const loses = (data: unknown) => losesNumbers(data, JSON.stringify(data));

  it.each([NaN, Infinity, -Infinity])('finds %d at any depth', (n) => {
    expect([loses(n), loses({ a: [{ b: n }] })]).toEqual([true, true]);
  });

  it('ignores null itself, the text null, and values that serialise themselves', () => {
    const amount = { cents: NaN, toJSON: () => null };

    expect([loses({ a: null }), loses({ a: 'null' }), loses({ amount })]).toEqual([false, false, false]);
  });

  it('finds nothing in data that JSON carries unchanged', () => {
    fc.assert(fc.property(fc.jsonValue(), (data) => !loses(data)));
  });
});
