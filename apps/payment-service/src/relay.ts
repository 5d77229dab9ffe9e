import 'reflect-metadata';
import { runRelay } from '@twinbox/api-kit';
import { PaymentServiceConfig } from './config.js';
import { NAME, platform } from './topology.js';

await runRelay({
  service: NAME,
  configClass: PaymentServiceConfig,
  imports: (config, database) => platform(config, { ...database, relay: true }),
});
