import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { MESSAGING_DATA_SOURCE } from '@twinbox/api-kit';
import { type ComponentHealth, MessagingHealth } from '@twinbox/messaging';
import { DataSource } from 'typeorm';
import { ExpirePayments } from '../../application/expire-payments.js';
import { type Expired } from '../../application/payment-request-store.js';

const POLL_INTERVAL_MS = 1000;
const BATCH_SIZE = 100;
const STUCK_AFTER_MS = 5000;
/** Limits the log during an outage, when every poll would report the same problem. */
const WARN_EVERY_MS = 60_000;

/**
 * Fails payment requests that have expired. The due times are in the database, so a crash loses nothing. Every replica polls once a second
 * and skips what another has locked. A request that cannot expire does not block others; it is logged and shown in health.
 */
@Injectable()
export class PaymentExpiry implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('Expiry');
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private failing: { readonly since: number; readonly problem: string } | undefined;
  private warnedAt = -Infinity;
  /** Where the last pass one by one ended, so that all requests get their turn, however many are stuck. */
  private resumeAfter: Expired | undefined;

  constructor(
    private readonly expirePayments: ExpirePayments,
    @Inject(MESSAGING_DATA_SOURCE) private readonly dataSource: DataSource,
    private readonly health: MessagingHealth,
  ) {}

  onApplicationBootstrap(): void {
    this.health.register('expiry', () => this.report());
    this.running = this.run();
  }

  /** Finishes the current batch before the pool is closed. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    // Replicas that start together poll at different times.
    await pause(Math.random() * POLL_INTERVAL_MS, signal);
    while (!signal.aborted) {
      const expired = await this.expire();
      if (expired < BATCH_SIZE) await pause(POLL_INTERVAL_MS, signal);
    }
  }

  /** Never throws, because the next poll tries again. */
  private async expire(): Promise<number> {
    let expired = 0;
    try {
      expired = await this.dataSource.transaction((tx) => this.expirePayments.execute(tx, BATCH_SIZE));
      this.failing = undefined;
    } catch {
      expired = await this.expireOneByOne();
    }
    if (expired > 0) this.logger.log(`Expired payment requests: ${expired}.`);
    return expired;
  }

  /** Never throws. Keeps a request that made its batch fail from blocking the others. */
  private async expireOneByOne(): Promise<number> {
    let expired = 0;
    const problems: string[] = [];
    const due = await this.expirePayments.due(BATCH_SIZE, this.resumeAfter).catch((error: unknown) => {
      problems.push(String(error));
      return [];
    });
    this.resumeAfter = due.length === BATCH_SIZE ? due.at(-1) : undefined;
    for (const { id } of due) {
      if (this.stopping.signal.aborted) break;
      try {
        if (await this.dataSource.transaction((tx) => this.expirePayments.executeOne(tx, id))) expired++;
      } catch (error) {
        problems.push(`${id}: ${String(error)}`);
      }
    }
    const [problem] = problems;
    // No problem here does not mean that it is over: only a successful batch shows that.
    if (problem !== undefined) this.failed(problem);
    return expired;
  }

  private failed(problem: string): void {
    const now = performance.now();
    this.failing = { since: this.failing?.since ?? now, problem };
    if (now - this.warnedAt < WARN_EVERY_MS) return;
    this.warnedAt = now;
    this.logger.warn(`Cannot expire payment requests: ${problem}`);
  }

  private report(): ComponentHealth {
    if (!this.failing) return { healthy: true };
    const { since, problem } = this.failing;
    const failingForMs = Math.round(performance.now() - since);
    return { healthy: failingForMs < STUCK_AFTER_MS, failingForMs, problem };
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
