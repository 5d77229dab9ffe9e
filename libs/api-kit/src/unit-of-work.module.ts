import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  Module,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ServiceConfig } from './config.js';
import { reasonOf } from './database-trouble.js';
import { IdempotencyStore } from './idempotency-store.js';
import { schemaOf, UnitOfWork } from './unit-of-work.js';

/** Between two chunks: the database has other things to do. */
const BREATHER_MS = 100;
const EVERY_MS = 10 * 60 * 1000;

/** Removes expired keys every few minutes, in every replica: they leave each other's rows alone. */
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
    this.again(EVERY_MS);
  }

  /** Not awaited: a chunk that is under way is one short statement, and may end without us. */
  beforeApplicationShutdown(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** One chunk. @returns whether there may be more */
  async tidy(): Promise<boolean> {
    return this.keys.removeExpired(this.dataSource);
  }

  // Replicas that were started together are not to do it together.
  private again(mostMs: number): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.chunk(), mostMs * (0.5 + Math.random() / 2)).unref();
  }

  private async chunk(): Promise<void> {
    try {
      this.again((await this.tidy()) ? BREATHER_MS : EVERY_MS);
    } catch (error) {
      this.logger.warn(`Expired keys stay for now: ${reasonOf(error)}`);
      this.again(EVERY_MS);
    }
  }
}

/** `UnitOfWork` for the controllers, and the removal of expired keys. Needs `databaseModule` and the table of `idempotencyTable`. */
@Module({ providers: [UnitOfWork, IdempotencyHousekeeping], exports: [UnitOfWork] })
export class UnitOfWorkModule {}
