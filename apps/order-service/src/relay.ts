import 'reflect-metadata';
import { runRelay } from '@twinbox/api-kit';
import { OrderServiceConfig } from './config.js';
import { NAME, platform } from './topology.js';

await runRelay({
  service: NAME,
  configClass: OrderServiceConfig,
  imports: (config, database) => platform(config, { ...database, relay: true }),
});
