import { type EntityManager } from 'typeorm';
import { type Order, type OrderHead, type OrderItem } from '../domain/order.js';
import { type Step } from './order-timeline.js';

export abstract class OrderStore {
  abstract add(tx: EntityManager, order: Order, steps: readonly Step[]): Promise<void>;
  /** Reads the order and locks it until the transaction ends. */
  abstract lock(tx: EntityManager, orderId: string): Promise<Order | undefined>;
  abstract lockHead(tx: EntityManager, orderId: string): Promise<OrderHead | undefined>;
  /** Writes the order without its items, and the steps that changed it. */
  abstract save(tx: EntityManager, order: OrderHead, steps: readonly Step[]): Promise<void>;
  /** Replaces all items of the order. */
  abstract saveItems(tx: EntityManager, orderId: string, items: readonly OrderItem[]): Promise<void>;
  abstract find(orderId: string): Promise<Order | undefined>;
}
