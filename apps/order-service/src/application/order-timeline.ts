import { type OrderOwner } from './order-journal.js';
import { type Step } from './order-store.js';

export interface StoredStep extends Step {
  /** Unique, and increasing within an order. Exact up to 2^53. */
  readonly position: number;
}

/** Reads the append-only history of orders. */
export abstract class OrderTimeline {
  abstract ownerOf(orderId: string): Promise<OrderOwner | undefined>;
  /** Reads at most `limit` steps of the order after the position `after`, oldest first. */
  abstract read(orderId: string, after: number, limit: number): Promise<StoredStep[]>;
}
