import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { allDone } from '@twinbox/messaging/transactions';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type ExpectedPrice, type NewOrder, placeAtOnce, placeDraft, recheckUnderLock } from '../domain/cart.js';
import { type Order, type OrderDecision } from '../domain/order.js';
import { type Line } from '../domain/product.js';
import { type Holdings, Quotas } from '../domain/quotas.js';
import { type OrderCommand, OrderJournal, type Origin } from './order-journal.js';
import { ProductStore } from './product-store.js';
import { QuotaStore } from './quota-store.js';

/** Places orders and reserves their stock. The caller must roll back on a rejection, which may follow the first write. */
@Injectable()
export class PlaceOrder {
  constructor(
    private readonly journal: OrderJournal,
    private readonly products: ProductStore,
    private readonly holdings: QuotaStore,
    private readonly quotas: Quotas,
    private readonly clock: Clock,
  ) {}

  async atOnce(tx: EntityManager, wanted: Omit<NewOrder, 'orderId'>, origin: Origin): Promise<OrderDecision> {
    const at = this.clock.now();
    const [catalogue, held] = await this.situation(tx, wanted.customerId, wanted.lines);
    const decision = placeAtOnce({ ...wanted, orderId: orderIdOf(at) }, catalogue, at);
    if (!decision.accepted) return decision;
    const exceeded = this.quotas.forPlacing(decision.state, held, catalogue);
    if (exceeded) return exceeded;

    // Sent in one round trip.
    const [, placed] = await allDone([
      this.journal.open(tx, decision, origin),
      this.reserved(tx, decision.state, held, decision),
    ]);
    return placed;
  }

  async draft(tx: EntityManager, command: OrderCommand, expected: readonly ExpectedPrice[]): Promise<OrderDecision> {
    let holdings: Holdings | undefined;
    const decision = await this.journal.run(tx, command, 'owner', async (order) => {
      const [catalogue, held] = await this.situation(tx, order.customerId, order.items);
      holdings = held;
      const placed = placeDraft(order, expected, catalogue, this.clock.now());
      return placed.accepted ? (this.quotas.forPlacing(placed.state, held, catalogue) ?? placed) : placed;
    });
    return decision.accepted && holdings ? this.reserved(tx, decision.state, holdings, decision) : decision;
  }

  private async situation(tx: EntityManager, customerId: string, lines: readonly Pick<Line, 'productId'>[]) {
    const productIds = lines.map(({ productId }) => productId);
    const maxOrders = this.quotas.limits.unpaidOrders;
    return allDone([
      this.products.catalogue(tx, lines),
      this.holdings.lockHoldings(tx, customerId, { productIds, maxOrders }),
    ]);
  }

  /**
   * Reserves last, so that the lock of a popular product is held only until the commit. The rule read the products without a lock, so they
   * are checked again.
   */
  private async reserved(
    tx: EntityManager,
    order: Order,
    held: Holdings,
    decision: OrderDecision,
  ): Promise<OrderDecision> {
    const locked = await this.products.reserve(tx, order.items);
    return recheckUnderLock(order, locked) ?? this.quotas.forStock(order.items, held, locked) ?? decision;
  }
}

/** Contains the time of creation, so ordering by id is ordering by creation. */
export function orderIdOf(createdAt: Date): string {
  return uuidv7({ msecs: createdAt.getTime() });
}
