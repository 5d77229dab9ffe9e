import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './checkout.js';
import { SERVICES } from './start/service-process.js';

/** Runs, in this process, a built file of the service named on the command line: `npm run relay -- order-service`. */
export async function runOne(script: 'relay' | 'service', file: string): Promise<void> {
  const [given = '', ...rest] = process.argv.slice(2);
  const name = SERVICES.find((service) => service === given);
  if (!name || rest.length > 0) {
    console.error(`Usage: npm run ${script} -- <service>, where <service> is ${SERVICES.join(' or ')}`);
    process.exit(2);
  }
  await import(pathToFileURL(join(root, 'apps', name, file)).href);
}
