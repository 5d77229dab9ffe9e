import { readFile } from 'node:fs/promises';
import { CURRENCY_LIST, currencyList } from './currency-list.js';

it('the list of currencies is that of the installed CLDR', async () => {
  expect(await readFile(CURRENCY_LIST, 'utf8')).toBe(currencyList());
});
