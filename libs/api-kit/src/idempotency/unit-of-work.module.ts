import { type BeforeApplicationShutdown, Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ServiceConfig } from '../app/service-config.js';
import { Housekeeper } from '../database/housekeeper.js';
import { IdempotencyMetricsModule } from './idempotency-metrics.js';
import { IdempotencyStore } from './idempotency-store.js';
import { schemaOf, UnitOfWork } from './unit-of-work.js';

/** Removes expired keys. */
@Injectable()
export class IdempotencyHousekeeping implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly keys: IdempotencyStore;
  private readonly housekeeper = new Housekeeper('expired idempotency keys', () => this.tidy());

  constructor(
    private readonly dataSource: DataSource,
    { IDEMPOTENCY_KEY_TTL }: ServiceConfig,
  ) {
    this.keys = new IdempotencyStore(schemaOf(dataSource), IDEMPOTENCY_KEY_TTL);
  }

  onApplicationBootstrap(): void {
    this.housekeeper.start();
  }

  beforeApplicationShutdown(): void {
    this.housekeeper.stop();
  }

  /** Removes one chunk. @returns whether there may be more */
  async tidy(): Promise<boolean> {
    return this.keys.removeExpired(this.dataSource);
  }
}

/** Provides `UnitOfWork` and removes expired keys. Needs `databaseModule`, and the table of `idempotencyTable` in the service's schema. */
@Module({
  imports: [IdempotencyMetricsModule],
  providers: [UnitOfWork, IdempotencyHousekeeping],
  exports: [UnitOfWork],
})
export class UnitOfWorkModule {}
