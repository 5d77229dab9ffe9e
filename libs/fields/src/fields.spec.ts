import { plainToInstance } from 'class-transformer';
import { IsIn, validateSync } from 'class-validator';
import fc from 'fast-check';
import {
  dayIn,
  InCapitals,
  IsAmount,
  IsId,
  IsListOf,
  IsText,
  IsTime,
  IsWholeNumber,
  MayBeAbsent,
  MayBeAbsentOrNull,
  timeIn,
} from './index.js';

const ID = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

class Entry {
  @IsWholeNumber(1, 9) readonly n!: number;
}

class Everything {
  @MayBeAbsent() @IsText(1, 5) readonly text?: string;
  @MayBeAbsent() @IsText(0, 5) readonly mayBeEmpty?: string;
  @MayBeAbsent() @IsWholeNumber(0, 10) readonly count?: number;
  @MayBeAbsent() @IsAmount() readonly amount?: number;
  @MayBeAbsent() @IsTime() readonly at?: string;
  @MayBeAbsent() @InCapitals() @IsIn(['EUR', 'CHF']) readonly code?: string;
  @MayBeAbsent() @IsId() readonly id?: string;
  @MayBeAbsentOrNull() @IsText(1, 5) readonly note?: string;
  @MayBeAbsent() @IsListOf(() => Entry, 1, 3) readonly list?: readonly Entry[];
}

/** Returns the value of the field after reading, or undefined if a rule rejects it. */
function read(field: keyof Everything, value: unknown): unknown {
  const instance = plainToInstance(Everything, { [field]: value });
  return validateSync(instance).length === 0 ? instance[field] : undefined;
}

describe('text', () => {
  it.each(['a', 'abcde', '😀'.repeat(5), 'a\nb', '❤️❤️', ' '])('may be %j', (text) => {
    expect(read('text', text)).toBe(text);
  });

  it.each([
    '',
    'abcdef',
    '😀'.repeat(6),
    '❤️❤️❤️',
    'a\0',
    '\ud83d',
    '\ude00a',
    'x'.repeat(1e6),
    7,
    null,
    [],
    ['a'],
    {},
    true,
  ])('is not %j', (value) => {
    expect(read('text', value)).toBeUndefined();
  });

  it('may be empty if the rule allows it', () => {
    expect(read('mayBeEmpty', '')).toBe('');
  });
});

describe('a whole number', () => {
  it.each([0, 10])('may be %d', (value) => {
    expect(read('count', value)).toBe(value);
  });

  it.each([-1, 11, 1.5, 1e19, Number.NaN, Infinity, '5', null, [5], {}, true])('is not %p', (value) => {
    expect(read('count', value)).toBeUndefined();
  });

  it.each([1, Number.MAX_SAFE_INTEGER])('as an amount may be %d', (value) => {
    expect(read('amount', value)).toBe(value);
  });

  it.each([0, Number.MAX_SAFE_INTEGER + 1, 1e19, 1e300, -5])('as an amount is not %d', (value) => {
    expect(read('amount', value)).toBeUndefined();
  });
});

describe('a time', () => {
  it.each([
    ['2026-11-21T09:30:00Z', '2026-11-21T09:30:00.000Z'],
    ['2026-11-21T09:30:00.1234+02:00', '2026-11-21T07:30:00.123Z'],
    ['2024-02-29T23:59:59.999999999-00:30', '2024-03-01T00:29:59.999Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('may be %s', (text, time) => {
    expect(read('at', text)).toBe(text);
    expect(timeIn(text)?.toISOString()).toBe(time);
  });

  it.each([
    '2026-11-21',
    '2026-11-21T09:30:00',
    '2026-11-21T09:30Z',
    '2026-02-30T09:30:00Z',
    '2025-02-29T09:30:00Z',
    '2026-13-01T09:30:00Z',
    '2026-11-21T24:00:00Z',
    '2026-11-21T09:60:00Z',
    '2026-11-21T23:59:60Z',
    '2026-11-21T09:30:00+24:00',
    '2026-11-21 09:30:00Z',
    '2026-W47-6T09:30:00Z',
    '2026-325T09:30:00Z',
    '20261121T093000Z',
    '+275760-09-13T00:00:00Z',
    '0000-12-31T23:59:59Z',
    '0001-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    'yesterday',
    '',
    1795253400,
    null,
  ])('is not %j', (value) => {
    expect(read('at', value)).toBeUndefined();
  });

  it('is parsed back to the same value, on any day', () => {
    const times = fc.date({
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    });

    fc.assert(
      fc.property(times, (time) => {
        expect(timeIn(time.toISOString())).toEqual(time);
        expect(dayIn(time.toISOString().slice(0, 10))).toBeInstanceOf(Date);
      }),
    );
  });

  it.each(['2026-02-30', '2025-02-29', '2026-00-10', '2026-1-1', '2026-11-21T', '0000-01-01'])(
    'does not accept %s as a day',
    (text) => {
      expect(dayIn(text)).toBeUndefined();
    },
  );
});

describe('a code', () => {
  it.each(['EUR', 'eur', 'eUr'])('is read in capitals when it is spelled %s', (text) => {
    expect(read('code', text)).toBe('EUR');
  });

  it.each(['chf ', 'ſ', 'usd', '', 756, null, ['chf']])('is not %j', (value) => {
    expect(read('code', value)).toBeUndefined();
  });
});

describe('an id', () => {
  it('is read in lower case', () => {
    expect(read('id', ID.toUpperCase())).toBe(ID);
  });

  it.each([
    `{${ID}}`,
    ID.replaceAll('-', ''),
    `urn:uuid:${ID}`,
    ` ${ID}`,
    `${ID}\n`,
    '01939d3c-2f4a-4c3e-9d55-8a0f6a1b2c3d',
    '00000000-0000-0000-0000-000000000000',
    '17',
    '',
    null,
    [ID],
  ])('is not %j', (value) => {
    expect(read('id', value)).toBeUndefined();
  });
});

describe('a list', () => {
  it('is read as instances of its class, which may have more fields', () => {
    const list = read('list', [{ n: 1 }, { n: 9, more: true }]);

    expect(list).toEqual([{ n: 1 }, { n: 9, more: true }]);
    expect((list as object[])[1]).toBeInstanceOf(Entry);
  });

  it.each([
    [[]],
    [Array.from({ length: 4 }, () => ({ n: 1 }))],
    [[{}]],
    [[{ n: 0 }]],
    [[{ n: 1 }, { n: '1' }]],
    [[null]],
    [[undefined]],
    [[[]]],
    [[[{ n: 1 }]]],
    [['n']],
    [[1]],
    ['n'],
    [''],
    [0],
    [null],
    [{}],
    [{ n: 1 }],
    [{ 0: { n: 1 }, length: 1 }],
  ])('is not %j', (value) => {
    expect(read('list', value)).toBeUndefined();
  });
});

describe('an optional field', () => {
  it('may be absent or undefined', () => {
    expect(validateSync(plainToInstance(Everything, {}))).toEqual([]);
    expect(validateSync(plainToInstance(Everything, { text: undefined, note: undefined }))).toEqual([]);
  });

  it('may be null only where null means absent, and is then undefined', () => {
    const instance = plainToInstance(Everything, { text: null, note: null });

    expect(validateSync(instance).map(({ property }) => property)).toEqual(['text']);
    expect(instance.note).toBeUndefined();
  });
});
