import fc from 'fast-check';
import { type KafkaRecord, type Reading } from '../message/message.js';
import { entryOf, groupingKeyOf, nameOfMessage } from './entry.js';

const aRecord = (key: Uint8Array | null): KafkaRecord => ({
  topic: 'counts',
  partition: 0,
  offset: '7',
  timestamp: new Date(0),
  key: key && Buffer.from(key),
  value: null,
  headers: {},
});

describe('the reference of an entry', () => {
  const refOf = (reading: Reading) => entryOf(aRecord(null), reading).ref;

  it.each([
    ['unreadable', { sound: false, id: 'id', source: '/test' }, { id: '', source: '' }],
    ['unreadable only in its data', { sound: true, id: 'id', source: '/test' }, { id: 'id', source: '/test' }],
  ])('of a message that is %s', (_, fields, ref) => {
    expect(refOf({ readable: false, reason: 'broken', ...fields })).toEqual(ref);
  });
});

describe('the name of a message', () => {
  it('P4 is the same for copies of a message, and different for different messages', () => {
    // Few different letters, so that the ends of some sources look like the beginnings of ids.
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 2 });
    fc.assert(
      fc.property(text, text, text, text, (id, source, otherId, otherSource) => {
        const isCopy = id === otherId && source === otherSource;

        expect(nameOfMessage({ id, source }) === nameOfMessage({ id: otherId, source: otherSource })).toBe(isCopy);
        expect(nameOfMessage({ id, source })).toBe(nameOfMessage({ id, source }));
      }),
    );
  });
});

describe('the key of a record', () => {
  it('P3 is the same text exactly for the same bytes, even if they are not UTF-8', () => {
    const bytes = fc.uint8Array({ maxLength: 3 });
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        const isSame = Buffer.compare(one, other) === 0;

        expect(groupingKeyOf(aRecord(one)) === groupingKeyOf(aRecord(other))).toBe(isSame);
      }),
    );
  });

  it('distinguishes no key from an empty one', () => {
    expect([groupingKeyOf(aRecord(null)), groupingKeyOf(aRecord(new Uint8Array()))]).toEqual([undefined, '']);
  });
});
