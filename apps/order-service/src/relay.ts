import 'reflect-metadata';
import { runRelay } from '@twinbox/api-kit';
import { OrderServiceConfig } from './config.js';
import { NAME, topology } from './topology.js';

await runRelay({
  service: NAME,
  configClass: OrderServiceConfig,
  imports: (config, database) => topology(config, { ...database, relay: true }),
});
