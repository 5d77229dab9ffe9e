import { type PaymentRequest, type PaymentStatus } from '../domain/payment-request.js';

export const PAYMENT_SORTS = ['-created', 'created', '-amount', 'amount'] as const;
/** By creation or by amount; a leading minus means descending. */
export type PaymentSort = (typeof PAYMENT_SORTS)[number];

/** A filter that is undefined matches everything. Bounds are inclusive. */
export interface PaymentRequestFilter {
  readonly statuses: readonly PaymentStatus[] | undefined;
  readonly orderId: string | undefined;
  readonly customerId: string | undefined;
  /** Only this customer's, regardless of `customerId`. */
  readonly own: string | undefined;
  /** In minor units, regardless of the currency. */
  readonly amountMin: number | undefined;
  readonly amountMax: number | undefined;
  readonly createdFrom: Date | undefined;
  readonly createdTo: Date | undefined;
}

export interface PaymentPosition {
  readonly amount: number;
  readonly id: string;
}

export interface PaymentListing {
  readonly filter: PaymentRequestFilter;
  readonly sort: PaymentSort;
  readonly after: PaymentPosition | undefined;
  readonly limit: number;
}

export abstract class PaymentRequestList {
  /** Sort values never change, so a request that exists and matches from the first page to the last is on exactly one of them. */
  abstract list(listing: PaymentListing): Promise<PaymentRequest[]>;
}
