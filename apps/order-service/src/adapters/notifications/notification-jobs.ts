import { Injectable, Logger } from '@nestjs/common';
import { type Job, JobDead, JobHandler } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { type Notification, notificationFlaw, Notifier } from '../../application/notifier.js';
import { OrderJournal } from '../../application/order-journal.js';
import { OrderStore } from '../../application/order-store.js';

export const NOTIFICATION_QUEUE = 'notification';

/** Nearly two hours at a back-off of up to five minutes, because a mail server may be down for that long. */
const MAX_ATTEMPTS = 30;

/** Notifies customers outside of any transaction. Only a permanent failure is recorded in the order's timeline. */
@Injectable()
export class NotificationJobs {
  private readonly logger = new Logger('Notifications');

  constructor(
    private readonly notifier: Notifier,
    private readonly orders: OrderStore,
    private readonly journal: OrderJournal,
  ) {}

  @JobHandler(NOTIFICATION_QUEUE, {
    concurrency: 32,
    timeoutMs: 30_000,
    maxAttempts: MAX_ATTEMPTS,
    check: notificationFlaw,
  })
  async send({ id, data }: Job<Notification>, signal: AbortSignal): Promise<void> {
    await this.notifier.notify(data, id, signal);
  }

  /** Runs in the transaction that marks the job dead. */
  @JobDead(NOTIFICATION_QUEUE)
  async dead(tx: EntityManager, { id, data }: Job<Notification>, reason: string): Promise<void> {
    this.logger.error(`Giving up on notification ${data.type} of order ${data.orderId} (job ${id}): ${reason}`);
    const order = await this.orders.lockHead(tx, data.orderId);
    if (!order) return;
    await this.journal.note(tx, order, 'NotificationFailed', { reason }, { actor: 'system', cause: data.type });
  }
}
