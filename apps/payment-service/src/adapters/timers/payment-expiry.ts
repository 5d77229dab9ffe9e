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

const EVERY_MS = 1000;
/** Requests of one transaction. */
const BATCH = 100;
/** So long it may fail before health calls it stuck. */
const STUCK_AFTER_MS = 5000;
/** During an outage every second would say the same. */
const WARN_EVERY_MS = 60_000;

/**
 * Lets requests expire. What is due stands in the database, so nothing is lost with a process; every replica looks once a second,
 * and takes what no other has locked. One that cannot fail is in no other's way, and is seen: in the log, and in health.
 */
@Injectable()
export class PaymentExpiry implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('Expiry');
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private failing: { readonly since: number; readonly problem: string } | undefined;
  private warnedAt = -Infinity;
  /** Where the last look, one by one, has ended: however many are stuck, it is everybody's turn. */
  private lookedUpTo: Expired | undefined;

  constructor(
    private readonly expirePayments: ExpirePayments,
    @Inject(MESSAGING_DATA_SOURCE) private readonly dataSource: DataSource,
    private readonly health: MessagingHealth,
  ) {}

  onApplicationBootstrap(): void {
    this.health.register('expiry', () => this.report());
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
    let expired = 0;
    try {
      expired = await this.dataSource.transaction((tx) => this.expirePayments.execute(tx, BATCH));
      this.failing = undefined;
    } catch {
      expired = await this.expireOneByOne();
    }
    if (expired > 0) this.logger.log(`${expired} payment requests expired.`);
    return expired;
  }

  /** One request that was in the way of its batch must not be in the way of the others again. Never throws. */
  private async expireOneByOne(): Promise<number> {
    let expired = 0;
    const problems: string[] = [];
    const due = await this.expirePayments.due(BATCH, this.lookedUpTo).catch((error: unknown) => {
      problems.push(String(error));
      return [];
    });
    this.lookedUpTo = due.length === BATCH ? due.at(-1) : undefined;
    for (const { id } of due) {
      if (this.stopping.signal.aborted) break;
      try {
        if (await this.dataSource.transaction((tx) => this.expirePayments.executeOne(tx, id))) expired++;
      } catch (error) {
        problems.push(`${id}: ${String(error)}`);
      }
    }
    const [problem] = problems;
    // A look without one is not the end of it: that is a batch that succeeds.
    if (problem !== undefined) this.failed(problem);
    return expired;
  }

  private failed(problem: string): void {
    const now = performance.now();
    this.failing = { since: this.failing?.since ?? now, problem };
    if (now - this.warnedAt < WARN_EVERY_MS) return;
    this.warnedAt = now;
    this.logger.warn(`Cannot let payment requests expire: ${problem}`);
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
