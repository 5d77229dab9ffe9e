import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { cancelOrder, type OrderDecision } from '../domain/order.js';
import { type OrderCommand, OrderJournal } from './order-journal.js';
import { ProductStore } from './product-store.js';

@Injectable()
export class CancelOrder {
  constructor(
    private readonly journal: OrderJournal,
    private readonly products: ProductStore,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, command: OrderCommand, reason: string): Promise<OrderDecision> {
    const decision = await this.journal.run(tx, command, 'owner-or-operator', (order) =>
      cancelOrder(order, reason, command.actor, this.clock.now()),
    );
    // A discarded draft has reserved nothing.
    if (decision.accepted && decision.steps.some(({ event }) => event.type === 'OrderCancelled'))
      await this.products.release(tx, command.orderId);
    return decision;
  }
}
