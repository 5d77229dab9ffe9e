import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SERVICES } from '@twinbox/migrations/services';
import { root } from './checkout.js';

/** Runs, in this process, a built file of the service named on the command line: `npm run relay -- order-service`. */
export async function runOne(script: 'relay' | 'service', file: string): Promise<void> {
  const [given = '', ...rest] = process.argv.slice(2);
  const names = SERVICES.map(({ name }) => name);
  const name = names.find((known) => known === given);
  if (!name || rest.length > 0) {
    console.error(`Usage: npm run ${script} -- <service>, where <service> is ${names.join(' or ')}`);
    process.exit(2);
  }
  await import(pathToFileURL(join(root, 'apps', name, file)).href);
}
