// A relay as a process of its own: node tools/dist/relay.js order-service
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './checkout.js';

const SERVICES = ['order-service', 'payment-service'];

const [name = '', ...rest] = process.argv.slice(2);
if (!SERVICES.includes(name) || rest.length > 0) {
  console.error(`Whose relay? Say one of:\n${SERVICES.map((service) => `  npm run relay -- ${service}`).join('\n')}`);
  process.exit(2);
}
await import(pathToFileURL(join(root, 'apps', name, 'dist/relay.js')).href);
