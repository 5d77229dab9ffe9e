import { setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ExpirePayments } from '../../application/expire-payments.js';

const EVERY_MS = 1000;
/** Requests of one transaction. */
const BATCH = 100;

/**
 * Lets requests expire. What is due stands in the database, so nothing is lost with a process; every replica looks once a second,
 * and takes what no other has locked.
 */
@Injectable()
export class PaymentExpiry implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('Expiry');
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private failing = false;

  constructor(
    private readonly expirePayments: ExpirePayments,
    private readonly dataSource: DataSource,
  ) {}

  onApplicationBootstrap(): void {
    this.running = this.run();
  }

  /** The batch in hand is finished, before the pool is closed. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    // Replicas that were started together look at different times.
    await pause(Math.random() * EVERY_MS, signal);
    while (!signal.aborted) {
      const expired = await this.expire();
      if (expired < BATCH) await pause(EVERY_MS, signal);
    }
  }

  /** Never throws: whatever is in the way, the next look is another chance. */
  private async expire(): Promise<number> {
    try {
      const expired = await this.dataSource.transaction((tx) => this.expirePayments.execute(tx, BATCH));
      if (expired > 0) this.logger.log(`${expired} payment requests expired.`);
      this.failing = false;
      return expired;
    } catch (error) {
      // Once: during an outage every second would say the same.
      if (!this.failing) this.logger.warn(`Cannot look for expired payment requests: ${String(error)}`);
      this.failing = true;
      return 0;
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
