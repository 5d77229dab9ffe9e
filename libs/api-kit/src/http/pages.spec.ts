import fc from 'fast-check';
import { CursorCodec } from './pages.js';
import { ProblemException } from './problem.js';

const byTotal = new CursorCodec({ total: 'integer', id: 'uuid' });
const scope = { sort: '-total', status: ['PLACED'] };
const id = '01890a5d-ac96-774b-bcce-b302099a8057';

function refusal(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    return error instanceof ProblemException ? error.problem : error;
  }
}

const invalid = expect.objectContaining({ status: 400, code: 'validation' }) as unknown;

describe('a cursor', () => {
  it('decodes to the position that it was made from', () => {
    const codec = new CursorCodec({ n: 'integer', id: 'uuid', name: 'text', at: 'time' });
    const position = fc.record({
      n: fc.maxSafeInteger(),
      id: fc.uuid(),
      name: fc.string({ unit: 'grapheme' }).filter((name) => !name.includes('\0')),
      at: fc.date({ min: new Date(0), max: new Date('2200-01-01'), noInvalidDate: true }),
    });

    fc.assert(fc.property(position, (it) => expect(codec.decode(codec.encode(it, scope), scope)).toEqual(it)));
  });

  it('is absent on the first page', () => {
    expect(byTotal.decode(undefined, scope)).toBeUndefined();
  });

  it('can be used in a URL without escaping', () => {
    expect(byTotal.encode({ total: 1780, id }, scope)).toMatch(/^[\w-]+$/);
  });

  it('decodes ids to lower case, however they were spelled', () => {
    const cursor = byTotal.encode({ total: 1, id: id.toUpperCase() }, scope);

    expect(byTotal.decode(cursor, scope)).toEqual({ total: 1, id });
  });

  it('is valid for the same filters in any order', () => {
    const cursor = byTotal.encode({ total: 1, id }, { sort: 'total', status: ['PLACED'] });

    expect(byTotal.decode(cursor, { status: ['PLACED'], sort: 'total' })).toEqual({ total: 1, id });
  });

  it.each([
    ['a different sort', { ...scope, sort: 'total' }],
    ['a different filter', { ...scope, status: ['COMPLETED'] }],
    ['an additional filter', { ...scope, productId: 'tea' }],
  ])('is rejected with %s', (_, other) => {
    const cursor = byTotal.encode({ total: 1, id }, scope);

    expect(refusal(() => byTotal.decode(cursor, other))).toEqual(invalid);
  });

  it('is rejected if another codec made it', () => {
    const byId = new CursorCodec({ id: 'uuid' });
    const swapped = new CursorCodec({ id: 'uuid', total: 'integer' });

    expect(refusal(() => byTotal.decode(byId.encode({ id }, scope), scope))).toEqual(invalid);
    expect(refusal(() => byTotal.decode(swapped.encode({ id, total: 1 }, scope), scope))).toEqual(invalid);
  });

  it('is rejected with a 400 if it is not a cursor at all', () => {
    const forged = fc.json().map((json) => Buffer.from(json).toString('base64url'));
    const mark = (
      JSON.parse(Buffer.from(byTotal.encode({ total: 1, id }, scope), 'base64url').toString()) as string[]
    )[0];
    const marked = fc
      .array(fc.jsonValue(), { minLength: 2, maxLength: 2 })
      .filter(([total]) => !Number.isSafeInteger(total))
      .map((values) => Buffer.from(JSON.stringify([mark, ...values])).toString('base64url'));

    fc.assert(
      fc.property(fc.oneof(fc.string(), forged, marked), (cursor) => {
        expect(refusal(() => byTotal.decode(cursor, scope))).toEqual(invalid);
      }),
    );
  });

  it.each([
    ['a total beyond the safe integers', [1e300, id]],
    ['a total with a fraction', [0.5, id]],
    ['an invalid id', [1, `${id}'`]],
  ])('is rejected with %s, which the database could not read', (_, values) => {
    const own = JSON.parse(Buffer.from(byTotal.encode({ total: 1, id }, scope), 'base64url').toString()) as unknown[];
    const cursor = Buffer.from(JSON.stringify([own[0], ...values])).toString('base64url');

    expect(refusal(() => byTotal.decode(cursor, scope))).toEqual(invalid);
  });
});
