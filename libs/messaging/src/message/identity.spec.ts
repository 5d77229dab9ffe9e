import fc from 'fast-check';
import { identityFlaw, textFlaw } from './column-text.js';
import { attributeFlaw, identityOf, keyOf, shownAttributes } from './identity.js';

const attributes = { specversion: '1.0', id: 'id', source: '/test', type: 'Counted' };

/** Any sequence of UTF-16 units, which includes halves of surrogate pairs and control characters. */
const anyText = fc.oneof(
  fc.string({ unit: fc.nat(0xffff).map((n) => String.fromCharCode(n)), maxLength: 600 }),
  fc.string({ unit: 'binary', minLength: 200, maxLength: 600 }),
  fc.string(),
);

describe('the identity of a message', () => {
  it('is its id, type and source', () => {
    const extended = { ...attributes, time: 'soon', sequence: '3' };

    expect(identityOf(extended, true)).toEqual({ id: 'id', type: 'Counted', source: '/test' });
  });

  it.each([
    [true, 'header missing: ce_id, ce_type'],
    [false, 'attribute missing: id, type'],
  ])('names what is missing as the content mode names it (binary: %s)', (isBinary, flaw) => {
    const incomplete = { ...attributes, id: '', type: undefined };

    expect(identityOf(incomplete, isBinary)).toEqual({ flaw });
  });

  it.each([
    [{ specversion: '0.3' }, 'ce_specversion is not 1.0'],
    [{ id: 'a\tb' }, 'ce_id contains a control character'],
    [{ source: 'a\uFFFD' }, 'ce_source is not Unicode text'],
    [{ type: 't'.repeat(256) }, 'ce_type is longer than 255 characters'],
    [{ id: '€'.repeat(255), source: '😀'.repeat(255) }, 'id and source together are longer than 1600 bytes'],
  ])('is rejected with %j', (fields, flaw) => {
    expect(identityOf({ ...attributes, ...fields }, true)).toEqual({ flaw });
  });

  it('P4 is accepted only if the inbox can store every part of it unchanged', () => {
    fc.assert(
      fc.property(anyText, anyText, anyText, (id, source, type) => {
        const identity = identityOf({ ...attributes, id, source, type }, true);
        fc.pre(!('flaw' in identity));

        expect(identity).toEqual({ id, source, type });
        expect([id, source, type].map(textFlaw)).toEqual([undefined, undefined, undefined]);
        expect(identityFlaw(id, source)).toBeUndefined();
      }),
    );
  });
});

describe('the attributes that are shown of an unreadable message', () => {
  it('are those that are present', () => {
    expect(shownAttributes({ id: 'id', source: undefined, time: 'soon' })).toEqual({ id: 'id' });
    expect(shownAttributes({ source: '', type: 'Counted' })).toEqual({ source: '', type: 'Counted' });
  });

  it('fit into a column, whatever the message contains', () => {
    fc.assert(
      fc.property(anyText, anyText, anyText, (id, source, type) => {
        const shown = Object.values(shownAttributes({ id, source, type }));

        expect(shown).toHaveLength(3);
        for (const text of shown) expect([undefined, 'is empty']).toContain(textFlaw(text));
      }),
    );
  });
});

describe('attributeFlaw', () => {
  it.each(['\0', '\n', '\u007F', '\u0085'])('rejects the control character %j', (character) => {
    expect(attributeFlaw(`a${character}`)).toBe('contains a control character');
  });

  it('P4 rejects every text that was decoded from bytes other than UTF-8, because different ids would look the same', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = Buffer.from(bytes).toString();
        fc.pre(!Buffer.from(text).equals(bytes));

        expect(attributeFlaw(text)).toBeDefined();
      }),
    );
  });
});

describe('a key', () => {
  it.each([
    [null, 'the record has no key'],
    [Buffer.from([0xff]), 'the key is not UTF-8'],
    [Buffer.from('a\0b'), 'the key contains a zero byte'],
    [Buffer.from('k'.repeat(256)), 'the key is longer than 255 characters'],
  ])('is rejected if it is %j', (key, flaw) => {
    expect(keyOf(key)).toEqual({ flaw });
  });

  it('may be empty, because Kafka distinguishes that from no key', () => {
    expect(keyOf(Buffer.alloc(0))).toEqual({ text: '' });
  });

  it('P3 is read without loss, so that different keys stay different', () => {
    const bytes = fc.oneof(
      fc.uint8Array().map((array) => Buffer.from(array)),
      fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(bytes, (key) => {
        const read = keyOf(key);
        fc.pre(read.flaw === undefined);

        expect(Buffer.from(read.text).equals(key)).toBe(true);
      }),
    );
  });
});
