import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  Module,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ServiceConfig } from '../app/service-config.js';
import { reasonOf } from '../database/database-errors.js';
import { IdempotencyStore } from './idempotency-store.js';
import { schemaOf, UnitOfWork } from './unit-of-work.js';

/** The pause between two chunks, because the database has other things to do. */
const PAUSE_MS = 100;
const EVERY_MS = 10 * 60 * 1000;

/** Removes expired keys every few minutes. Every replica does so, and skips rows that another one is removing. */
@Injectable()
export class IdempotencyHousekeeping implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('Idempotency');
  private readonly keys: IdempotencyStore;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly dataSource: DataSource,
    { IDEMPOTENCY_KEY_TTL }: ServiceConfig,
  ) {
    this.keys = new IdempotencyStore(schemaOf(dataSource), IDEMPOTENCY_KEY_TTL);
  }

  onApplicationBootstrap(): void {
    this.schedule(EVERY_MS);
  }

  /** Does not wait for a chunk in progress, which is one short statement and may finish on its own. */
  beforeApplicationShutdown(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** Removes one chunk. @returns whether there may be more */
  async tidy(): Promise<boolean> {
    return this.keys.removeExpired(this.dataSource);
  }

  // The delay is random, so that replicas that started together do not all run at the same time.
  private schedule(maxDelayMs: number): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.removeChunk(), maxDelayMs * (0.5 + Math.random() / 2)).unref();
  }

  private async removeChunk(): Promise<void> {
    try {
      this.schedule((await this.tidy()) ? PAUSE_MS : EVERY_MS);
    } catch (error) {
      this.logger.warn(`Cannot remove expired idempotency keys, will try again later: ${reasonOf(error)}`);
      this.schedule(EVERY_MS);
    }
  }
}

/** Provides `UnitOfWork` and removes expired keys. Needs `databaseModule`, and the table of `idempotencyTable` in the service's schema. */
@Module({ providers: [UnitOfWork, IdempotencyHousekeeping], exports: [UnitOfWork] })
export class UnitOfWorkModule {}
