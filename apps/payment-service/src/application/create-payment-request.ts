import { Injectable } from '@nestjs/common';
import { type OrderPlaced } from '@twinbox/contracts';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { requestPayment } from '../domain/payment-request.js';
import { applyOrderCancelled } from '../domain/refund.js';
import { PaymentGateway } from './payment-gateway.js';
import { PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';
import { PaymentTerms } from './payment-terms.js';

/** Requests the payment of a placed order, and has it charged if the gateway is automatic. */
@Injectable()
export class CreatePaymentRequest {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly journal: PaymentJournal,
    private readonly gateway: PaymentGateway,
    private readonly terms: PaymentTerms,
  ) {}

  async execute(tx: EntityManager, placed: OrderPlaced, messageId: string): Promise<void> {
    const at = await this.requests.beginInsert(tx);
    const origin = { actor: `customer:${placed.customerId}`, cause: 'OrderPlaced', messageId };
    // The lists rely on ids sorting by creation time.
    const requested = requestPayment(placed, uuidv7({ msecs: at.getTime() }), at, {
      ttlMs: this.terms.ttlMs,
      gateway: this.gateway.name,
    });

    const inserted = await this.journal.open(tx, requested, origin, { charge: this.gateway.automatic });
    if (!inserted) {
      // The inbox drops redeliveries of a message. This is another message with the same content.
      const reason = 'The order already has a payment request.';
      return this.journal.noteIgnored(tx, placed, { reason }, { ...origin, type: 'OrderPlaced' });
    }
    // Happens only if OrderPlaced could not be processed for a while and an operator retried it.
    if (inserted.orderCancelled) {
      const reason = 'The cancellation of the order arrived first.';
      const cancelled = applyOrderCancelled(requested.state, { reason, actor: 'system', repeated: false }, at);
      if (cancelled.accepted) await this.journal.record(tx, cancelled, { ...origin, actor: 'system' });
    }
  }
}
