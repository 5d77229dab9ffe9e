// Writes libs/contracts/src/currency-list.ts from CLDR: `npm run currencies`, after an update of cldr-core.
import { writeFile } from 'node:fs/promises';
import { CURRENCY_LIST, currencyList } from './currency-list.js';

await writeFile(CURRENCY_LIST, currencyList());
