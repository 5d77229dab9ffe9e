import { type OrderOwner } from './order-commands.js';
import { type Step } from './order-timeline.js';

export interface TimelineStep extends Step {
  /** Unlike any other step's, and higher than that of the order's step before; exact up to 2^53. */
  readonly position: number;
}

export abstract class OrderTimelineReader {
  /** Whose order it is; undefined when there is no such order. */
  abstract ownerOf(orderId: string): Promise<OrderOwner | undefined>;
  /** The order's steps beyond the position `after`, oldest first, `limit` of them at most. */
  abstract stepsOf(orderId: string, after: number, limit: number): Promise<TimelineStep[]>;
}
