import { type EntityManager } from 'typeorm';
import { type Order, type OrderHead, type OrderItem } from '../domain/order.js';
import { type Step } from './order-timeline.js';

export abstract class OrderStore {
  /** A new order with its items, and the first steps of its history. */
  abstract add(tx: EntityManager, order: Order, steps: readonly Step[]): Promise<void>;
  /** The order, locked until the transaction ends: whoever comes next sees what this one did. */
  abstract lock(tx: EntityManager, orderId: string): Promise<Order | undefined>;
  /** The same without its items. */
  abstract lockHead(tx: EntityManager, orderId: string): Promise<OrderHead | undefined>;
  /** Writes what can change of an order, its items apart, and the steps that changed it. */
  abstract save(tx: EntityManager, order: OrderHead, steps: readonly Step[]): Promise<void>;
  /** These are all items of the order from now on. */
  abstract saveItems(tx: EntityManager, orderId: string, items: readonly OrderItem[]): Promise<void>;
  abstract find(orderId: string): Promise<Order | undefined>;
}
