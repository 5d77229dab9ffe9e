import { readFile } from 'node:fs/promises';
import { CURRENCY_LIST, currencyList } from './currency-list.js';

it('the currency list matches the installed CLDR', async () => {
  expect(await readFile(CURRENCY_LIST, 'utf8')).toBe(currencyList());
});
