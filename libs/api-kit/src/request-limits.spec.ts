import { ProblemException } from './problem.js';
import { refuseExcess } from './request-limits.js';

/** The detail of the refusal, if there is one. */
function refusal(value: unknown, part: 'body' | 'query' = 'body'): string | undefined {
  try {
    refuseExcess(value, part);
    return undefined;
  } catch (error) {
    return (error as ProblemException).problem.detail;
  }
}

/** An object or a list that counts how often it is looked into. */
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

    expect(refusal({ draft: false, description: 'd', items: many(100, line) })).toBeUndefined();
  });

  it.each([
    ['a list', many(500, 1)],
    ['a list of {}', { items: many(33_000, {}) }],
    ['many lists', many(30, many(20, 1))],
    ['many fields', Object.fromEntries(Array.from({ length: 500 }, (_, n) => [n, n]))],
  ])('refuse %s with more than 500 values', (_, value) => {
    expect(refusal(value)).toBe('#: must not have more than 500 values.');
  });

  it('count every value, and the body itself', () => {
    expect(refusal(Array(499).fill(1))).toBeUndefined();
    expect(refusal({ a: Array(498).fill(null) })).toBeUndefined();
    expect(refusal({ a: Array(499).fill(null) })).toBeDefined();
  });

  it('refuse more than 100 values of a query', () => {
    const names = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, '1']));

    expect(refusal(names(99), 'query')).toBeUndefined();
    expect(refusal(names(100), 'query')).toBe('*: must not have more than 100 values.');
    expect(refusal({ status: Array(99).fill('PLACED') }, 'query')).toBeDefined();
  });

  it('refuse more than 32 levels, however deep the rest is', () => {
    expect(refusal(nested(31))).toBeUndefined();
    expect(refusal(nested(32))).toBe('#: is nested too deeply.');
    expect(refusal(JSON.parse('['.repeat(40_000) + ']'.repeat(40_000)))).toBe('#: is nested too deeply.');
  });

  it('are checked without reading the values beyond them', () => {
    let reads = 0;
    const items = counted(many(33_000, {}), () => reads++);

    expect(refusal({ items })).toBeDefined();
    expect(reads).toBe(0);
  });

  it.each([undefined, null, 1, 'text', {}, []])('accept %j', (value) => {
    expect(refusal(value)).toBeUndefined();
  });
});
