import { Injectable } from '@nestjs/common';
import { type Accepted, Clock } from '@twinbox/kernel';
import { allDone } from '@twinbox/messaging/transactions';
import { type EntityManager } from 'typeorm';
import { type NewOrder, placeAtOnce } from '../domain/cart.js';
import { type Order, type OrderChange, type OrderDecision } from '../domain/order.js';
import { type Line } from '../domain/product.js';
import { holdingsAfter, Quotas } from '../domain/quotas.js';
import { OrderJournal, type Origin } from './order-journal.js';
import { orderIdOf } from './place-order.js';
import { ProductStore } from './product-store.js';
import { QuotaStore } from './quota-store.js';

export interface Placement {
  readonly wanted: Omit<NewOrder, 'orderId'>;
  readonly origin: Origin;
}

interface Placed {
  readonly decision: Accepted<Order, OrderChange>;
  readonly origin: Origin;
}

@Injectable()
export class PlaceTogether {
  constructor(
    private readonly journal: OrderJournal,
    private readonly products: ProductStore,
    private readonly holdings: QuotaStore,
    private readonly quotas: Quotas,
    private readonly clock: Clock,
  ) {}

  /**
   * Returns the decisions in the order of the placements. A rejected order leaves nothing behind. Undefined: one of the products is unknown,
   * or it or the customer is locked by another transaction, so `PlaceOrder` must place the order on its own.
   */
  async execute(tx: EntityManager, placements: readonly Placement[]): Promise<(OrderDecision | undefined)[]> {
    const at = this.clock.now();
    const [locked, customers] = await this.lockAvailable(tx, placements);
    let stock = locked;
    const holdings = new Map(customers);
    const placed: Placed[] = [];
    const decisions = placements.map(({ wanted, origin }) => {
      const held = holdings.get(wanted.customerId);
      if (!held || !stock.has(wanted.lines)) return undefined;
      const decision = placeAtOnce({ ...wanted, orderId: orderIdOf(at) }, stock, at);
      if (!decision.accepted) return decision;
      const { items } = decision.state;
      const exceeded = this.quotas.forPlacing(decision.state, held, stock);
      if (exceeded) return exceeded;
      stock = stock.less(items);
      holdings.set(wanted.customerId, holdingsAfter(held, items));
      placed.push({ decision, origin });
      return decision;
    });
    if (placed.length > 0) await this.write(tx, placed);
    return decisions;
  }

  private async lockAvailable(tx: EntityManager, placements: readonly Placement[]) {
    const lines = placements.flatMap(({ wanted }) => wanted.lines);
    const customers = placements.map(({ wanted }) => wanted.customerId);
    const productIds = lines.map(({ productId }) => productId);
    const maxOrders = this.quotas.limits.unpaidOrders;
    return allDone([
      this.products.lockAvailable(tx, lines),
      this.holdings.lockAvailable(tx, customers, { productIds, maxOrders }),
    ]);
  }

  private async write(tx: EntityManager, placed: readonly Placed[]): Promise<void> {
    const taken = placed.flatMap(({ decision }): readonly Line[] => decision.state.items);
    await allDone([
      ...placed.map(({ decision, origin }) => this.journal.open(tx, decision, origin)),
      this.products.take(tx, taken),
    ]);
  }
}
