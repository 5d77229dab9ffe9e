import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { Outbox } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { type Cart, type OrderDecision, placeOrder } from '../domain/order.js';
import { aggregateOf } from './order-aggregate.js';
import { OrderStore } from './order-store.js';
import { ProductStore } from './product-store.js';

@Injectable()
export class PlaceOrder {
  constructor(
    private readonly orders: OrderStore,
    private readonly products: ProductStore,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, cart: Cart): Promise<OrderDecision> {
    const catalogue = await this.products.catalogue(
      tx,
      cart.lines.map(({ productId }) => productId),
    );

    const decision = placeOrder(cart, catalogue, this.clock.now());
    if (!decision.accepted) return decision;

    await this.orders.add(tx, decision.state);
    await this.outbox.add(tx, aggregateOf(decision.state), decision.events);
    return decision;
  }
}
