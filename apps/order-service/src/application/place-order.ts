import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { allDone } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type ExpectedPrice, type NewOrder, placeAtOnce, placeDraft, refusalAtLast } from '../domain/cart.js';
import { type Order, type OrderDecision } from '../domain/order.js';
import { type OrderCommand, OrderCommands } from './order-commands.js';
import { type Origin } from './order-timeline.js';
import { ProductStore } from './product-store.js';

/**
 * A draft is placed, or a new order at once, and what it needs is reserved. A rejection may come after the first write:
 * whoever opened the transaction rolls it back.
 */
@Injectable()
export class PlaceOrder {
  constructor(
    private readonly commands: OrderCommands,
    private readonly products: ProductStore,
    private readonly clock: Clock,
  ) {}

  async atOnce(tx: EntityManager, wanted: Omit<NewOrder, 'orderId'>, origin: Origin): Promise<OrderDecision> {
    const at = this.clock.now();
    const catalogue = await this.products.catalogue(tx, wanted.lines);
    const decision = placeAtOnce({ ...wanted, orderId: orderIdOf(at) }, catalogue, at);
    if (!decision.accepted) return decision;

    // Sent together.
    const [, placed] = await allDone([
      this.commands.add(tx, decision, origin),
      this.reserved(tx, decision.state, decision),
    ]);
    return placed;
  }

  async draft(tx: EntityManager, command: OrderCommand, expected: readonly ExpectedPrice[]): Promise<OrderDecision> {
    const decision = await this.commands.run(tx, command, 'owner', async (order) => {
      const catalogue = await this.products.catalogue(tx, order.items);
      return placeDraft(order, expected, catalogue, this.clock.now());
    });
    return decision.accepted ? this.reserved(tx, decision.state, decision) : decision;
  }

  /**
   * Last, for many orders wait for the lock of a product that many want: no round trip but the commit's comes after it. The rule
   * has seen the products as they were before that wait, so they are looked at once more.
   */
  private async reserved(tx: EntityManager, order: Order, decision: OrderDecision): Promise<OrderDecision> {
    return refusalAtLast(order, await this.products.reserve(tx, order.items)) ?? decision;
  }
}

/** Its time is that of the order's creation: orders sorted by id are sorted by it. */
export function orderIdOf(createdAt: Date): string {
  return uuidv7({ msecs: createdAt.getTime() });
}
