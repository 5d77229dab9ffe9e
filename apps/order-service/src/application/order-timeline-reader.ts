import { type OrderOwner } from './order-journal.js';
import { type Step } from './order-timeline.js';

export interface TimelineStep extends Step {
  /** Unique, and increasing within an order. Exact up to 2^53. */
  readonly position: number;
}

export abstract class OrderTimelineReader {
  abstract ownerOf(orderId: string): Promise<OrderOwner | undefined>;
  /** Reads at most `limit` steps of the order after the position `after`, oldest first. */
  abstract stepsOf(orderId: string, after: number, limit: number): Promise<TimelineStep[]>;
}
