import { type PaymentRequest, type PaymentResult } from '../domain/payment-request.js';

/**
 * What a gateway says of a charge. `PENDING`: it has it, and the result comes another way: by webhook, or from an operator. The reason of
 * a failure is shown to the customer, so it names nothing internal.
 */
export type ChargeResult = PaymentResult | { readonly status: 'PENDING' };

/**
 * Whoever moves the money. Calls are made outside of any transaction and may be made again, also by another process while the
 * first is still under way: what has the same key is the same charge or refund, has its effect once, and gets the same answer. A
 * throw says that the outcome is not known.
 */
export abstract class PaymentGateway {
  /** Up to 40 characters, kept with every request: whoever is called so knows of what was charged under this name. */
  abstract readonly name: string;
  /** Whether a request is charged as soon as there is one; else somebody else tells its result. */
  abstract readonly automatic: boolean;
  /** Takes the money. `signal` aborts when the call is given up. */
  abstract charge(request: PaymentRequest, key: string, signal: AbortSignal): Promise<ChargeResult>;
  /** Gives it back; returns once that is certain. */
  abstract refund(request: PaymentRequest, key: string, signal: AbortSignal): Promise<void>;
}
