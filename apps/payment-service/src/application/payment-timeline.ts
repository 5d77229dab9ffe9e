import { type EntityManager } from 'typeorm';
import { type Step } from './payment-request-store.js';

export interface StoredStep extends Step {
  /** Higher than that of any earlier step of the order; exact up to 2^53. */
  readonly position: number;
}

/** Reads the steps of every payment, by order. They never change. */
export abstract class PaymentTimeline {
  abstract hasCancellation(tx: EntityManager, orderId: string): Promise<boolean>;
  /** Returns up to `limit` steps of the order after position `after`, oldest first. */
  abstract read(orderId: string, after: number, limit: number): Promise<StoredStep[]>;
}
