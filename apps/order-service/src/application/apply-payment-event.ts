import { Injectable } from '@nestjs/common';
import { type PaymentEvent } from '@twinbox/contracts';
import { Clock, reject } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type OrderDecision, type OrderHead } from '../domain/order.js';
import { actorOfPayment, applyPaymentEvent } from '../domain/payment.js';
import { OrderJournal } from './order-journal.js';
import { OrderStore } from './order-store.js';
import { ProductStore } from './product-store.js';

@Injectable()
export class ApplyPaymentEvent {
  constructor(
    private readonly orders: OrderStore,
    private readonly products: ProductStore,
    private readonly journal: OrderJournal,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, event: PaymentEvent, messageId: string): Promise<OrderDecision<OrderHead>> {
    const { orderId } = event.data;
    const order = await this.orders.lockHead(tx, orderId);
    if (!order) return reject({ code: 'order-not-found', orderId });

    const decision = applyPaymentEvent(order, event, this.clock.now());
    if (!decision.accepted) return decision;

    const origin = { actor: actorOfPayment(event), cause: event.type, messageId };
    await this.journal.record(tx, decision, origin);
    if (decision.steps.some((step) => step.event.type === 'OrderCancelled')) await this.products.release(tx, orderId);
    return decision;
  }
}
