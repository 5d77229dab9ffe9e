import { Injectable } from '@nestjs/common';
import { type PaymentEvent } from '@twinbox/contracts';
import { Clock, reject } from '@twinbox/kernel';
import { Outbox } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { hearPayment, type OrderDecision } from '../domain/order.js';
import { aggregateOf } from './order-aggregate.js';
import { OrderStore } from './order-store.js';

/** The order follows what payment-service says of its payment. */
@Injectable()
export class HearPayment {
  constructor(
    private readonly orders: OrderStore,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, heard: PaymentEvent): Promise<OrderDecision> {
    const { orderId } = heard.data;
    const order = await this.orders.lock(tx, orderId);
    if (!order) return reject({ code: 'order-not-found', orderId });

    const decision = hearPayment(order, heard, this.clock.now());
    if (!decision.accepted) return decision;

    await this.orders.save(tx, decision.state);
    await this.outbox.add(tx, aggregateOf(decision.state), decision.events);
    return decision;
  }
}
