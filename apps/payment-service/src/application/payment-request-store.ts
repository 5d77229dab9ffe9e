import { type Page, type PageRequest } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type PaymentRequest, type PaymentStatus } from '../domain/payment-request.js';

export interface PaymentRequestFilter {
  readonly orderId: string | undefined;
  readonly status: PaymentStatus | undefined;
  /** Only this customer's; undefined: everybody's. */
  readonly customerId: string | undefined;
}

export abstract class PaymentRequestStore {
  /** False when the order has a request already: then nothing is written. */
  abstract add(tx: EntityManager, request: PaymentRequest): Promise<boolean>;
  /** The request, locked until the transaction ends: of two operators, the second sees what the first decided. */
  abstract lock(tx: EntityManager, id: string): Promise<PaymentRequest | undefined>;
  abstract save(tx: EntityManager, request: PaymentRequest): Promise<void>;
  abstract find(id: string): Promise<PaymentRequest | undefined>;
  /** Newest first. */
  abstract list(filter: PaymentRequestFilter, page: PageRequest): Promise<Page<PaymentRequest>>;
}
