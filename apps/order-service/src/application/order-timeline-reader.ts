import { type Step } from './order-timeline.js';

export abstract class OrderTimelineReader {
  /** Whose order it is; undefined when there is no such order. */
  abstract customerOf(orderId: string): Promise<string | undefined>;
  /** Every step of the order, oldest first. */
  abstract stepsOf(orderId: string): Promise<Step[]>;
}
