import { Injectable } from '@nestjs/common';
import { type OrderCancelled } from '@twinbox/contracts';
import { Clock } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type PaymentRequest } from '../domain/payment-request.js';
import { hearOrderCancelled } from '../domain/payment-rules.js';
import { PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';
import { PaymentTimeline } from './payment-timeline.js';

const CAUSE = 'OrderCancelled';

/** An order was cancelled: nobody waits for its payment any more, and what was paid goes back. */
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
    const heard = { type: CAUSE, actor, cause: CAUSE, messageId };
    const request = await this.lock(tx, orderId);
    // Remembered: should a request for the order come yet, it is cancelled at once.
    if (!request) return this.journal.passOver(tx, cancelled, { reason: 'The order has no payment request.' }, heard);

    // While it is PENDING, or paid and kept, no cancellation can have been heard.
    const again =
      request.status !== 'PENDING' &&
      request.status !== 'SUCCEEDED' &&
      (await this.timeline.hasHeardCancellation(tx, orderId));
    const decision = hearOrderCancelled(request, { reason, actor, again }, this.clock.now());
    if (!decision.accepted) return this.journal.passOver(tx, request, decision.rejection, heard);
    if (decision.events.length === 0) return this.journal.note(tx, request, CAUSE, { reason }, heard);
    await this.journal.record(tx, decision, heard);
  }

  /** A request that is just being added, unseen by us, would not see either that its order is cancelled. */
  private async lock(tx: EntityManager, orderId: string): Promise<PaymentRequest | undefined> {
    const request = await this.requests.lockByOrder(tx, orderId);
    if (request) return request;
    await this.requests.awaitOpenings(tx);
    return this.requests.lockByOrder(tx, orderId);
  }
}
