import fc from 'fast-check';
import { identityFlaw, isTooLong, isUuid, storable, textFlaw } from './column-text.js';

/** Texts with characters of one to four bytes, and of one or two UTF-16 units, around the limits. */
const longTexts = fc
  .tuple(fc.constantFrom('a', 'é', '€', '😀'), fc.integer({ min: 0, max: 600 }), fc.string({ unit: 'grapheme' }))
  .map(([character, count, end]) => character.repeat(count) + end);

describe('storable', () => {
  it('replaces every zero byte, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (parts) => {
        const clean = parts.map((part) => part.replaceAll('\0', ''));

        expect(storable(clean.join('\0'))).toBe(clean.join('\uFFFD'));
      }),
    );
  });
});

describe('isTooLong', () => {
  it('counts code points, as PostgreSQL does', () => {
    fc.assert(fc.property(longTexts, (text) => isTooLong(text) === Array.from(text).length > 255));
  });

  it.each([
    ['255 characters of one unit', 'a'.repeat(255), false],
    ['256 characters of one unit', 'a'.repeat(256), true],
    ['255 surrogate pairs', '😀'.repeat(255), false],
    ['256 surrogate pairs', '😀'.repeat(256), true],
    ['254 surrogate pairs and two letters', `${'😀'.repeat(254)}ab`, true],
  ])('judges %s', (_, text, expected) => {
    expect(isTooLong(text)).toBe(expected);
  });
});

describe('textFlaw', () => {
  it.each([
    ['', 'is empty'],
    ['a\0b', 'contains a zero byte'],
    ['\uD83D', 'contains half of a surrogate pair'],
    ['\uDE00\uD83D', 'contains half of a surrogate pair'],
    ['a'.repeat(256), 'is longer than 255 characters'],
  ])('explains why a column cannot store %j', (text, flaw) => {
    expect(textFlaw(text)).toBe(flaw);
  });

  it.each(['a', ' ', '😀', '\uFFFD', '\n'])('accepts %j', (text) => {
    expect(textFlaw(text)).toBeUndefined();
  });

  it('accepts only texts that UTF-8 carries unchanged', () => {
    fc.assert(
      fc.property(
        fc.oneof(longTexts, fc.string({ unit: fc.nat(0xffff).map((n) => String.fromCharCode(n)) })),
        (text) => {
          fc.pre(textFlaw(text) === undefined);

          expect(Buffer.from(text).toString()).toBe(text);
        },
      ),
    );
  });
});

describe('identityFlaw', () => {
  it('is found exactly when id and source together exceed 1600 bytes', () => {
    fc.assert(
      fc.property(longTexts, longTexts, (id, source) => {
        const isTooBig = Buffer.byteLength(id) + Buffer.byteLength(source) > 1600;

        expect(identityFlaw(id, source) !== undefined).toBe(isTooBig);
      }),
    );
  });

  it('allows two texts of the maximum length in two-byte characters, but not in four-byte characters', () => {
    expect(identityFlaw('é'.repeat(255), 'é'.repeat(255))).toBeUndefined();
    expect(identityFlaw('😀'.repeat(255), '😀'.repeat(255))).toContain('1600 bytes');
  });
});

describe('isUuid', () => {
  it('accepts a UUID of any version in either case', () => {
    fc.assert(fc.property(fc.uuid(), (id) => isUuid(id) && isUuid(id.toUpperCase())));
  });

  it.each([
    '',
    '01890a5dac96774bbcceb302099a8057',
    '{01890a5d-ac96-774b-bcce-b302099a8057}',
    '01890a5d-ac96-774b-bcce-b302099a8057\n',
    '01890a5d-ac96-774b-bcce-b302099a805g',
    '01890a5d-ac96-774bb-cce-b302099a8057',
  ])('rejects %j, although PostgreSQL accepts some forms of it', (text) => {
    expect(isUuid(text)).toBe(false);
  });
});
