import { isISO4217CurrencyCode } from 'class-validator';
import { currentCurrencies, formerCurrencies, isCurrentCurrency, isKnownCurrency } from './index.js';

const today = new Date('2026-11-29T12:00:00Z');

/** Amendments of ISO 4217: which currency replaced which, the first day of the new one, and the first day without the former one. */
it.each([
  { amendment: 161, code: 'BYN', since: '2016-07-01', former: 'BYR', gone: '2017-01-02' },
  { amendment: 164, code: 'MRU', since: '2018-01-01', former: 'MRO', gone: '2018-12-31' },
  { amendment: 164, code: 'STN', since: '2018-01-01', former: 'STD', gone: '2018-12-31' },
  { amendment: 168, code: 'VES', since: '2018-08-20', former: 'VEF', gone: '2018-12-31' },
  { amendment: 174, code: 'EUR', since: '2023-01-01', former: 'HRK', gone: '2023-02-01' },
  { amendment: 175, code: 'SLE', since: '2022-07-01', former: 'SLL', gone: '2024-01-01' },
  { amendment: 176, code: 'XCG', since: '2025-03-31', former: 'ANG', gone: '2025-07-02' },
  { amendment: 177, code: 'ZWG', since: '2024-06-25', former: 'ZWL', gone: '2024-09-01' },
  { amendment: 178, code: 'CUP', since: '1914-04-08', former: 'CUC', gone: '2021-07-01' },
  { amendment: 180, code: 'EUR', since: '2026-01-01', former: 'BGN', gone: '2026-02-01' },
])('amendment $amendment: prices are in $code and no longer in $former', ({ code, since, former, gone }) => {
  expect(isCurrentCurrency(code, new Date(since))).toBe(true);
  expect(isCurrentCurrency(code, today)).toBe(true);
  expect(isCurrentCurrency(former, new Date(gone))).toBe(false);
  expect(isCurrentCurrency(former, today)).toBe(false);
  // Past sales in the former currency remain.
  expect(isKnownCurrency(former)).toBe(true);
});

it('amendment 170: VED is in use alongside VES', () => {
  expect(['VED', 'VES'].filter((code) => isCurrentCurrency(code, today))).toEqual(['VED', 'VES']);
});

it('a currency is in use on its last day and not on the next', () => {
  expect(isCurrentCurrency('BGN', new Date('2026-01-31T23:59:59Z'))).toBe(true);
  expect(isCurrentCurrency('BGN', new Date('2026-02-01T00:00:00Z'))).toBe(false);
});

it.each(['XAU', 'XAG', 'XPT', 'XPD', 'XDR', 'XSU', 'XUA', 'XAD', 'XBA', 'CHE', 'CLF', 'COU', 'MXV', 'USN', 'UYW'])(
  '%s is known, but no price can be in it',
  (code) => {
    expect([isKnownCurrency(code), isCurrentCurrency(code)]).toEqual([true, false]);
  },
);

it.each(['XTS', 'XXX'])('%s is known from earlier versions, but no price can be in it', (code) => {
  expect([isKnownCurrency(code), isCurrentCurrency(code), formerCurrencies().includes(code)]).toEqual([
    true,
    false,
    false,
  ]);
});

it('knows every code that version 0.1.0 accepted for a price', () => {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('');
  const codes = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => a + b + c)));

  const accepted = codes.filter((code) => isISO4217CurrencyCode(code));

  expect(accepted).toContain('XTS');
  expect(accepted.filter((code) => !isKnownCurrency(code))).toEqual([]);
});

it('lists codes that are no longer current as former ones, and no code as both', () => {
  expect(formerCurrencies(today)).toEqual(expect.arrayContaining(['ANG', 'BGN', 'XAU', 'ZWL']));
  expect(formerCurrencies(today).filter((code) => isCurrentCurrency(code, today))).toEqual([]);
});

it.each(['XYZ', 'eur', 'EURO', '', ' EUR', 'constructor', '__proto__', 7, null, undefined, ['EUR']])(
  '%j is not a currency',
  (code) => {
    expect([isKnownCurrency(code), isCurrentCurrency(code)]).toEqual([false, false]);
  },
);

it.each(['EUR', 'USD', 'CHF', 'JPY', 'XAF', 'XOF', 'XPF', 'XCD', 'XCG', 'SVC', 'UYU'])('%s is in use', (code) => {
  expect(currentCurrencies()).toContain(code);
});
