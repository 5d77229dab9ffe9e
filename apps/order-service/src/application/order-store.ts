import { type Page, type PageRequest } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type Order } from '../domain/order.js';

export abstract class OrderStore {
  abstract add(tx: EntityManager, order: Order): Promise<void>;
  /** The order, locked until the transaction ends: whoever comes next sees what this one did. */
  abstract lock(tx: EntityManager, orderId: string): Promise<Order | undefined>;
  /** Writes what can change after placing; the items cannot. */
  abstract save(tx: EntityManager, order: Order): Promise<void>;
  abstract find(orderId: string): Promise<Order | undefined>;
  /** A customer's orders, newest first. */
  abstract listOf(customerId: string, page: PageRequest): Promise<Page<Order>>;
}
