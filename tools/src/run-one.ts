import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './checkout.js';
import { SERVICES } from './services.js';

/** Runs a built file of the service that the command line names, in this process: `npm run relay -- order-service`. */
export async function runOne(script: 'relay' | 'service', file: string): Promise<void> {
  const [given = '', ...rest] = process.argv.slice(2);
  const name = SERVICES.find((service) => service === given);
  if (!name || rest.length > 0) {
    console.error(`Name the service:\n${SERVICES.map((service) => `  npm run ${script} -- ${service}`).join('\n')}`);
    process.exit(2);
  }
  await import(pathToFileURL(join(root, 'apps', name, file)).href);
}
