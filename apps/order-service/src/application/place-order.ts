import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { allDone } from '@twinbox/messaging/transactions';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type ExpectedPrice, type NewOrder, placeAtOnce, placeDraft, recheckUnderLock } from '../domain/cart.js';
import { type Order, type OrderDecision } from '../domain/order.js';
import { type OrderCommand, OrderJournal, type Origin } from './order-journal.js';
import { ProductStore } from './product-store.js';

/** Places orders and reserves their stock. The caller must roll back on a rejection, which may follow the first write. */
@Injectable()
export class PlaceOrder {
  constructor(
    private readonly journal: OrderJournal,
    private readonly products: ProductStore,
    private readonly clock: Clock,
  ) {}

  async atOnce(tx: EntityManager, wanted: Omit<NewOrder, 'orderId'>, origin: Origin): Promise<OrderDecision> {
    const at = this.clock.now();
    const catalogue = await this.products.catalogue(tx, wanted.lines);
    const decision = placeAtOnce({ ...wanted, orderId: orderIdOf(at) }, catalogue, at);
    if (!decision.accepted) return decision;

    // Sent in one round trip.
    const [, placed] = await allDone([
      this.journal.open(tx, decision, origin),
      this.reserved(tx, decision.state, decision),
    ]);
    return placed;
  }

  async draft(tx: EntityManager, command: OrderCommand, expected: readonly ExpectedPrice[]): Promise<OrderDecision> {
    const decision = await this.journal.run(tx, command, 'owner', async (order) => {
      const catalogue = await this.products.catalogue(tx, order.items);
      return placeDraft(order, expected, catalogue, this.clock.now());
    });
    return decision.accepted ? this.reserved(tx, decision.state, decision) : decision;
  }

  /**
   * Reserves last, so that the lock of a popular product is held only until the commit. The rule read the products without a lock, so they
   * are checked again.
   */
  private async reserved(tx: EntityManager, order: Order, decision: OrderDecision): Promise<OrderDecision> {
    return recheckUnderLock(order, await this.products.reserve(tx, order.items)) ?? decision;
  }
}

/** Contains the time of creation, so ordering by id is ordering by creation. */
export function orderIdOf(createdAt: Date): string {
  return uuidv7({ msecs: createdAt.getTime() });
}
