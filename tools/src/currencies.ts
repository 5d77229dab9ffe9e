// npm run currencies: generates libs/contracts/src/currency-list.ts from CLDR, after an update of cldr-core.
import { writeFile } from 'node:fs/promises';
import { CURRENCY_LIST, currencyList } from './currency-list.js';

await writeFile(CURRENCY_LIST, currencyList());
