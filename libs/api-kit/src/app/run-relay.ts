import { Module, type ModuleMetadata } from '@nestjs/common';
import type { DatabaseOptions } from '../database/database-options.js';
import { EnvInt } from './env.js';
import { runService } from './run-service.js';
import { ServiceConfig } from './service-config.js';

/** The description of a service's relay, which its `relay.ts` passes to {@link runRelay}. */
export interface ServiceRelay<C extends ServiceConfig> {
  /** The name of the service. */
  readonly service: string;
  readonly configClass: new () => C;
  /** The modules that the relay needs. `database` has the options in which this process differs from the service. */
  readonly imports: (
    config: C,
    database: Pick<DatabaseOptions, 'applicationName' | 'poolSize'>,
  ) => NonNullable<ModuleMetadata['imports']>;
}

@Module({})
class RelayModule {}

/**
 * Runs the relay of a service as a separate process, which publishes or stands by and reports its health; the whole body of a `relay.ts`.
 * It starts and stops like {@link runService}.
 */
export async function runRelay<C extends ServiceConfig>({
  service,
  configClass,
  imports,
}: ServiceRelay<C>): Promise<void> {
  const name = `${service} relay`;
  await runService({
    name,
    configClass: onAnyPort(configClass),
    module: (config) => ({ module: RelayModule, imports: imports(config, { applicationName: name, poolSize: 2 }) }),
  });
}

/** Any free port by default, so that several relays can run side by side. */
function onAnyPort<C extends ServiceConfig>(configClass: new () => C): new () => C {
  class RelayConfig extends (configClass as new () => ServiceConfig) {
    @EnvInt(0, 65_535)
    override PORT = 0;
  }
  return RelayConfig as new () => ServiceConfig as new () => C;
}
