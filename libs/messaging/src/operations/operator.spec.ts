import fc from 'fast-check';
import { InvalidInputError } from '../errors.js';
import { checkAction, checkReason, limitOf, toPage } from './operator.js';

describe('an operator’s action', () => {
  it.each([
    { actor: 'ada' },
    { actor: 'a'.repeat(255), reason: 'r'.repeat(2000) },
    { actor: ' ada ', reason: undefined },
    { actor: '😀'.repeat(255), reason: '😀'.repeat(2000) },
  ])('is accepted: %j', (action) => {
    expect(() => checkAction(action)).not.toThrow();
  });

  it.each([
    ['actor', { actor: '' }],
    ['actor', { actor: ' \t\n' }],
    ['actor', { actor: 'a'.repeat(256) }],
    ['actor', { actor: '😀'.repeat(256) }],
    ['actor', { actor: 'a\0da' }],
    ['actor', { actor: 7 as unknown as string }],
    ['actor', { actor: undefined as unknown as string }],
    ['reason', { actor: 'ada', reason: '' }],
    ['reason', { actor: 'ada', reason: 'r'.repeat(2001) }],
    ['reason', { actor: 'ada', reason: '😀'.repeat(2001) }],
    ['reason', { actor: 'ada', reason: null as unknown as string }],
  ])('is rejected because of its %s: %j', (what, action) => {
    expect(() => checkAction(action)).toThrow(InvalidInputError);
    expect(() => checkAction(action)).toThrow(new RegExp(`^${what} must be`));
  });

  it('may not have a blank reason, whatever the blanks', () => {
    const blanks = fc.stringMatching(/^\s*$/);

    fc.assert(fc.property(blanks, (reason) => expect(() => checkReason(reason)).toThrow('not blank')));
  });
});

describe('the size of a page', () => {
  it('is 50 unless given', () => {
    expect([limitOf({}), limitOf({ limit: undefined }), limitOf({ limit: 7 })]).toEqual([50, 50, 7]);
  });

  it.each([0, -1, 501, 1.5, NaN, Infinity, '7' as unknown as number, null as unknown as number])(
    'cannot be %p',
    (limit) => {
      expect(() => limitOf({ limit })).toThrow('limit must be 1 to 500');
    },
  );
});

describe('a page', () => {
  it('has no next page if there were exactly as many rows as the limit', () => {
    expect(toPage(['a', 'b'], 2, String)).toEqual({ items: ['a', 'b'], nextCursor: null });
    expect(toPage([], 2, String)).toEqual({ items: [], nextCursor: null });
  });

  it('leads to every row exactly once, if each page starts after the cursor of the one before', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.integer({ min: 1, max: 20 }), (count, limit) => {
        const rows = Array.from({ length: count }, (_, n) => n);
        const read = (after: number) => toPage(rows.slice(after + 1, after + 2 + limit), limit, String);

        const pages = [read(-1)];
        for (let cursor = pages[0]?.nextCursor; cursor; cursor = pages.at(-1)?.nextCursor)
          pages.push(read(Number(cursor)));

        expect(pages.flatMap(({ items }) => items)).toEqual(rows);
        expect(pages).toHaveLength(Math.max(1, Math.ceil(count / limit)));
      }),
    );
  });
});
