import 'reflect-metadata';
import { runRelay } from '@twinbox/api-kit';
import { PaymentServiceConfig } from './config.js';
import { NAME, topology } from './topology.js';

await runRelay({
  service: NAME,
  configClass: PaymentServiceConfig,
  imports: (config, database) => topology(config, { ...database, relay: true }),
});
