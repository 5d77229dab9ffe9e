import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { cancelOrder, type OrderDecision } from '../domain/order.js';
import { type OrderCommand, OrderCommands } from './order-journal.js';
import { ProductStore } from './product-store.js';

/** Cancels an order on behalf of its customer or an operator. */
@Injectable()
export class CancelOrder {
  constructor(
    private readonly commands: OrderCommands,
    private readonly products: ProductStore,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, command: OrderCommand, reason: string): Promise<OrderDecision> {
    const decision = await this.commands.run(tx, command, 'owner-or-operator', (order) =>
      cancelOrder(order, reason, command.actor, this.clock.now()),
    );
    // A discarded draft has reserved nothing.
    if (decision.accepted && decision.events.some(({ type }) => type === 'OrderCancelled'))
      await this.products.release(tx, command.orderId);
    return decision;
  }
}
