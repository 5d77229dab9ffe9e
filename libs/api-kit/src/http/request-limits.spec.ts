import { ProblemException } from './problem.js';
import { rejectExcess } from './request-limits.js';

/** Returns the detail of the problem, if there is one. */
function detailOf(value: unknown, part: 'body' | 'query' = 'body'): string | undefined {
  try {
    rejectExcess(value, part);
    return undefined;
  } catch (error) {
    return (error as ProblemException).problem.detail;
  }
}

/** Wraps an object or a list and counts the accesses to it. */
function counted<T extends object>(value: T, onRead: () => void): T {
  return new Proxy(value, {
    get(target, name, receiver) {
      if (typeof name === 'string' && /^\d+$/.test(name)) onRead();
      return Reflect.get(target, name, receiver) as unknown;
    },
  });
}

const many = (count: number, value: unknown) => Array.from({ length: count }, () => value);

const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });

describe('the limits of a request', () => {
  it('accept the largest order', () => {
    const line = { productId: 'p', quantity: 1, unitPrice: 100 };

    expect(detailOf({ draft: false, description: 'd', items: many(100, line) })).toBeUndefined();
  });

  it.each([
    ['a list', many(500, 1)],
    ['a list of {}', { items: many(33_000, {}) }],
    ['many lists', many(30, many(20, 1))],
    ['many fields', Object.fromEntries(Array.from({ length: 500 }, (_, n) => [n, n]))],
  ])('reject %s with more than 500 values', (_, value) => {
    expect(detailOf(value)).toBe('#: must not have more than 500 values.');
  });

  it('count every value, including the body itself', () => {
    expect(detailOf(Array(499).fill(1))).toBeUndefined();
    expect(detailOf({ a: Array(498).fill(null) })).toBeUndefined();
    expect(detailOf({ a: Array(499).fill(null) })).toBeDefined();
  });

  it('reject more than 100 values in a query', () => {
    const names = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, '1']));

    expect(detailOf(names(99), 'query')).toBeUndefined();
    expect(detailOf(names(100), 'query')).toBe('*: must not have more than 100 values.');
    expect(detailOf({ status: Array(99).fill('PLACED') }, 'query')).toBeDefined();
  });

  it('reject more than 32 levels, however deep the rest is', () => {
    expect(detailOf(nested(31))).toBeUndefined();
    expect(detailOf(nested(32))).toBe('#: is nested too deeply.');
    expect(detailOf(JSON.parse('['.repeat(40_000) + ']'.repeat(40_000)))).toBe('#: is nested too deeply.');
  });

  it('are checked without reading the values beyond them', () => {
    let reads = 0;
    const items = counted(many(33_000, {}), () => reads++);

    expect(detailOf({ items })).toBeDefined();
    expect(reads).toBe(0);
  });

  it.each([undefined, null, 1, 'text', {}, []])('accept %j', (value) => {
    expect(detailOf(value)).toBeUndefined();
  });
});
