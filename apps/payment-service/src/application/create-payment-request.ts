import { Injectable } from '@nestjs/common';
import { type OrderPlaced } from '@twinbox/contracts';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { hearOrderCancelled, requestPayment } from '../domain/payment-rules.js';
import { PaymentGateway } from './payment-gateway.js';
import { PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';
import { PaymentTerms } from './payment-terms.js';

/** An order was placed: its payment is requested, and charged if the gateway does that by itself. */
@Injectable()
export class CreatePaymentRequest {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly journal: PaymentJournal,
    private readonly gateway: PaymentGateway,
    private readonly terms: PaymentTerms,
  ) {}

  async execute(tx: EntityManager, placed: OrderPlaced, messageId: string): Promise<void> {
    const at = await this.requests.beginOpening(tx);
    const origin = { actor: `customer:${placed.customerId}`, cause: 'OrderPlaced', messageId };
    // Sorted by id is sorted by creation: the lists rely on it.
    const requested = requestPayment(placed, uuidv7({ msecs: at.getTime() }), at, {
      ttlMs: this.terms.ttlMs,
      gateway: this.gateway.name,
    });

    const opened = await this.journal.open(tx, requested, origin, { charge: this.gateway.automatic });
    if (!opened) {
      // The inbox drops the same message; this is another one that says the same.
      const reason = 'The order has its payment request already.';
      return this.journal.passOver(tx, placed, { reason }, { ...origin, type: 'OrderPlaced' });
    }
    // Only if OrderPlaced could not be read for a while, and a person had it tried again.
    if (opened.orderCancelled) {
      const reason = 'The cancellation of the order had been heard before.';
      const cancelled = hearOrderCancelled(requested.state, { reason, actor: 'system', again: false }, at);
      if (cancelled.accepted) await this.journal.record(tx, cancelled, { ...origin, actor: 'system' });
    }
  }
}
