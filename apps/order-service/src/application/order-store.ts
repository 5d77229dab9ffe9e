import { type EntityManager } from 'typeorm';
import { type Order, type OrderHead, type OrderItem, type OrderStatus } from '../domain/order.js';

/** An entry of an order's timeline. */
export interface Step {
  /** Such as `OrderPlaced`, `ItemAdded`, `PaymentRequested` or `MessagePassedOver`. */
  readonly type: string;
  /** The status and version after the step. */
  readonly status: OrderStatus;
  readonly version: number;
  readonly at: Date;
  /** `customer:<user>`, `operator:<user>`, `admin:<user>`, `gateway`, `provider`, `system`, or the name of the publishing service. */
  readonly actor: string;
  /** The request, such as `POST /orders/:orderId/cancel`, or the type of the received message. */
  readonly cause: string | null;
  /** The received message that caused the step, or the message published for it. */
  readonly messageId: string | null;
  /** Further details, such as a reason, or a product and its quantity. */
  readonly detail: object | null;
}

/** Writes orders and, with them, their timelines, whose steps never change. Notifies {@link StepListener}. */
export abstract class OrderStore {
  abstract add(tx: EntityManager, order: Order, steps: readonly Step[]): Promise<void>;
  /** Reads the order and locks it until the transaction ends. */
  abstract lock(tx: EntityManager, orderId: string): Promise<Order | undefined>;
  abstract lockHead(tx: EntityManager, orderId: string): Promise<OrderHead | undefined>;
  /** Writes the order without its items, and the steps that changed it. */
  abstract save(tx: EntityManager, order: OrderHead, steps: readonly Step[]): Promise<void>;
  /** Replaces all items of the order. */
  abstract saveItems(tx: EntityManager, orderId: string, items: readonly OrderItem[]): Promise<void>;
  /** Adds a step that does not change the order. */
  abstract note(tx: EntityManager, order: OrderHead, step: Step): Promise<void>;
  abstract find(orderId: string): Promise<Order | undefined>;
}

export abstract class StepListener {
  /** Called after each commit of a transaction that wrote steps. Must not throw. */
  abstract committed(): void;
}
