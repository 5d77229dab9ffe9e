import fc from 'fast-check';
import { type LetterBox } from './dead-letter.js';
import { InvalidInputError } from '../errors.js';
import { checkChosen, checkFilter, jobFilterOf, type LetterChoice, letterChoiceOf, placeOf } from './letter-choice.js';
import { checkId } from '../operations/operator.js';

describe('a filter', () => {
  it.each<LetterChoice>([
    { box: 'outbox' },
    { box: 'outbox', aggregateType: 'order', type: 'OrderPlaced', key: '' },
    { box: 'inbox', consumer: 'billing', ids: ['1', '-7', '999999999999999999'] },
    { box: 'inbox', diedAfter: new Date(0), diedBefore: new Date('9999-12-31T23:59:59.999Z') },
  ])('is accepted: %j', (filter) => {
    expect(() => checkFilter(filter)).not.toThrow();
  });

  it.each<[string, LetterChoice]>([
    ['box must be outbox or inbox, not mailbox', { box: 'mailbox' as LetterBox }],
    ['Outbox letters have no consumer', { box: 'outbox', consumer: 'billing' }],
    ['Inbox letters have no aggregateType', { box: 'inbox', aggregateType: 'order' }],
    ['"1 or true" is not a valid id', { box: 'inbox', ids: ['1', '1 or true'] }],
    ['not a valid date', { box: 'inbox', diedAfter: new Date(NaN) }],
    ['not a valid date', { box: 'inbox', diedBefore: new Date('+010000-01-01T00:00:00Z') }],
    ['zero byte', { box: 'inbox', consumer: 'a\0' }],
    ['zero byte', { box: 'outbox', aggregateType: 'a\0' }],
    ['zero byte', { box: 'outbox', key: '\0' }],
    ['zero byte', { box: 'outbox', type: 'a\0b' }],
    ['zero byte', { box: 'outbox', topic: 'a\0b' }],
    ['zero byte', { box: 'inbox', cause: 'a\0b' }],
    ['half of a surrogate pair', { box: 'inbox', key: 'a\uD800' }],
  ])('is rejected with "%s": %j', (message, filter) => {
    expect(() => checkFilter(filter)).toThrow(InvalidInputError);
    expect(() => checkFilter(filter)).toThrow(message);
  });
});

describe('a choice in JSON', () => {
  it('has times in RFC 3339, which are read to the millisecond', () => {
    const times = { diedAfter: '2026-02-28T12:00:00.123456+23:59', diedBefore: '2026-11-30T23:45:00Z' };

    const choice = { diedAfter: new Date('2026-02-27T12:01:00.123Z'), diedBefore: new Date('2026-11-30T23:45:00Z') };
    expect(letterChoiceOf({ box: 'inbox', ...times })).toEqual({ box: 'inbox', ...choice });
    expect(jobFilterOf(times)).toEqual(choice);
  });

  it.each([
    '2026-02-30T00:00:00Z',
    '2026-11-31T00:00:00Z',
    '2026-11-30',
    '2026-11-30T00:00Z',
    '2026-11-30T00:00:00',
    '2026-11-30T24:00:00Z',
    '0000-01-01T00:00:00Z',
    '9999-12-31T23:59:59-01:00',
    'yesterday',
    '',
    2026,
    null,
  ])('is rejected with the time %j', (time) => {
    expect(() => letterChoiceOf({ box: 'inbox', diedAfter: time })).toThrow(InvalidInputError);
    expect(() => jobFilterOf({ diedBefore: time })).toThrow(/diedBefore/);
  });
});

describe('a choice', () => {
  const filters = fc.constantFrom<Partial<LetterChoice>>(
    { ids: [] },
    { consumer: 'billing' },
    { aggregateType: 'order' },
    { topic: 'order.events' },
    { type: 'OrderPlaced' },
    { cause: 'order # is unknown' },
    { key: '' },
    { diedAfter: new Date(0) },
    { diedBefore: new Date(0) },
  );

  it('needs any one filter, or all', () => {
    fc.assert(
      fc.property(filters, fc.constantFrom(undefined, false), (filter, all) => {
        expect(() => checkChosen({ box: 'inbox', ...filter, all })).not.toThrow();
      }),
    );
    expect(() => checkChosen({ box: 'inbox', all: true })).not.toThrow();
  });

  it('cannot have both, because one of them was a mistake', () => {
    fc.assert(
      fc.property(filters, (filter) => {
        expect(() => checkChosen({ box: 'inbox', ...filter, all: true })).toThrow('not both');
      }),
    );
  });

  it.each([{}, { all: false }, { consumer: undefined, ids: undefined }])(
    'selects nothing without them, so that a forgotten filter does not discard everything: %j',
    (choice) => {
      expect(() => checkChosen({ box: 'outbox', ...choice })).toThrow(
        'No filter given. To select the whole outbox, pass all: true',
      );
    },
  );
});

describe('a cursor', () => {
  it('stands for the time of death and the id in it', () => {
    const ids = fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n });
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 17n - 1n }), ids, (micros, id) => {
        expect(placeOf(`${micros}-${id}`)).toEqual({ diedAtMicros: String(micros), id: String(id) });
      }),
    );
  });

  it('is not needed for the first page', () => {
    expect(placeOf(undefined)).toBeUndefined();
  });

  it('is rejected if it was not made here', () => {
    for (const cursor of [
      '',
      '1',
      '1-',
      '-1-2',
      '1-2-3',
      '1--',
      '1-2 ',
      `1-${'9'.repeat(19)}`,
      `${'9'.repeat(18)}-1`,
      '１-２',
    ])
      expect(() => placeOf(cursor)).toThrow('is not a valid cursor');
  });
});

describe('an id', () => {
  it('is accepted if and only if PostgreSQL reads it as a bigint without risk of overflow', () => {
    fc.assert(
      fc.property(fc.oneof(fc.bigInt().map(String), fc.string()), (id) => {
        const isValid = /^-?[0-9]+$/.test(id) && id.replace('-', '').length <= 18;

        if (isValid) checkId('job id', id);
        else expect(() => checkId('job id', id)).toThrow('is not a valid job id');
      }),
    );
  });
});
