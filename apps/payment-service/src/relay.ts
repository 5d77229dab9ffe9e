import 'reflect-metadata';
import { type DynamicModule, Module } from '@nestjs/common';
import { EnvInt, runService } from '@twinbox/api-kit';
import { PaymentServiceConfig } from './config.js';
import { NAME, platform } from './platform.js';

class RelayConfig extends PaymentServiceConfig {
  /** Any free port unless set, so that several relays can run side by side. */
  @EnvInt(0, 65_535)
  override PORT = 0;
}

/** The relay of payment-service as a separate process: it publishes or stands by, and serves health and metrics. */
@Module({})
class RelayModule {
  static with(config: RelayConfig): DynamicModule {
    return {
      module: RelayModule,
      imports: platform(config, { applicationName: `${NAME} relay`, poolSize: 2, relay: true }),
    };
  }
}

await runService({
  name: `${NAME} relay`,
  configClass: RelayConfig,
  module: (config) => RelayModule.with(config),
});
