import { formatMoney, parseMoney } from './currency.js';

it('writes amounts with the 0, 2 or 3 decimals of ISO 4217', () => {
  const written = [
    formatMoney(12_345, 'EUR', 'en'),
    formatMoney(12_345, 'JPY', 'en'),
    formatMoney(12_345, 'KWD', 'en'),
    formatMoney(5, 'IQD', 'en'),
    formatMoney(-5, 'EUR', 'en'),
  ].map((text) => text.replaceAll('\u00a0', ' '));

  expect(written).toEqual(['€123.45', '¥12,345', 'KWD 12.345', 'IQD 0.005', '-€0.05']);
});

it('keeps every digit of the largest amount', () => {
  const written = formatMoney(Number.MAX_SAFE_INTEGER, 'EUR', 'en');

  expect(written).toBe('€90,071,992,547,409.91');
});

it('reads amounts as people type them, and no more decimals than the currency has', () => {
  const read = [
    parseMoney('12.5', 'EUR'),
    parseMoney('12,50', 'EUR'),
    parseMoney('12', 'JPY'),
    parseMoney('12.5', 'JPY'),
    parseMoney('1.234', 'EUR'),
    parseMoney('twelve', 'EUR'),
  ];

  expect(read).toEqual([1250, 1250, 12, undefined, undefined, undefined]);
});
