import { type Abstract, type DynamicModule, Module, type ModuleMetadata, type Type } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { HealthController, MessagingProbe } from './health.controller.js';

/** Serves GET /health, /health/live, /health/ready and /health/messaging. */
@Module({})
export class HealthModule {
  /**
   * `messaging` is the token of the provider that reports the health of messaging, such as MessagingHealth of the messaging library.
   * `imports` contains the module that exports it, unless that module is global.
   */
  static forRoot(options: {
    readonly messaging: Type<MessagingProbe> | Abstract<MessagingProbe>;
    readonly imports?: NonNullable<ModuleMetadata['imports']>;
  }): DynamicModule {
    return {
      module: HealthModule,
      // The response shows what is wrong. In the log, every probe would repeat the same line.
      imports: [TerminusModule.forRoot({ logger: false }), ...(options.imports ?? [])],
      controllers: [HealthController],
      providers: [{ provide: MessagingProbe, useExisting: options.messaging }],
    };
  }
}
