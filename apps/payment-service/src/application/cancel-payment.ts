import { Injectable } from '@nestjs/common';
import { type OrderCancelled } from '@twinbox/contracts';
import { Clock } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type PaymentRequest } from '../domain/payment-request.js';
import { applyOrderCancelled } from '../domain/refund.js';
import { PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';
import { PaymentTimeline } from './payment-timeline.js';

const CAUSE = 'OrderCancelled';

/** Cancels the payment of a cancelled order, or refunds it when it was paid. */
@Injectable()
export class CancelPayment {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly timeline: PaymentTimeline,
    private readonly journal: PaymentJournal,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, cancelled: OrderCancelled, messageId: string): Promise<void> {
    const { orderId, reason, actor = 'order-service' } = cancelled;
    const received = { type: CAUSE, actor, cause: CAUSE, messageId };
    const request = await this.lock(tx, orderId);
    // Recorded, so that a request created later is cancelled at once.
    if (!request)
      return this.journal.noteIgnored(tx, cancelled, { reason: 'The order has no payment request.' }, received);

    // Not queried while it is PENDING or SUCCEEDED: no cancellation can have arrived before.
    const repeated =
      request.status !== 'PENDING' &&
      request.status !== 'SUCCEEDED' &&
      (await this.timeline.hasCancellation(tx, orderId));
    const decision = applyOrderCancelled(request, { reason, actor, repeated }, this.clock.now());
    if (!decision.accepted) return this.journal.noteIgnored(tx, request, decision.rejection, received);
    if (decision.steps.length === 0) return this.journal.note(tx, request, CAUSE, { reason }, received);
    await this.journal.record(tx, decision, received);
  }

  /** Waits for concurrent inserts: a request being added now is not visible here, and its transaction cannot see the cancellation. */
  private async lock(tx: EntityManager, orderId: string): Promise<PaymentRequest | undefined> {
    const request = await this.requests.lockByOrder(tx, orderId);
    if (request) return request;
    await this.requests.awaitInserts(tx);
    return this.requests.lockByOrder(tx, orderId);
  }
}
