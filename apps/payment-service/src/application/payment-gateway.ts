import { type PaymentRequest, type PaymentResult } from '../domain/payment-request.js';

/**
 * The gateway's answer to a charge. `PENDING`: the result follows by webhook or from an operator. The reason of a failure is shown to the
 * customer, so it must name nothing internal.
 */
export type ChargeResult = PaymentResult | { readonly status: 'PENDING' };

/**
 * Moves the money. Calls are made outside of any transaction and may be repeated, even by another process while the first is still running.
 * Calls with the same key are the same charge or refund, which takes effect once and always gets the same answer. A call throws when the
 * outcome is unknown.
 */
export abstract class PaymentGateway {
  /** At most 40 characters, stored with every request. A gateway must know every charge made under its name. */
  abstract readonly name: string;
  /** Whether requests are charged as soon as they are created. Otherwise the result is reported by an operator or a webhook. */
  abstract readonly automatic: boolean;
  /** Takes the money. `signal` aborts when the caller stops waiting. */
  abstract charge(request: PaymentRequest, key: string, signal: AbortSignal): Promise<ChargeResult>;
  /** Refunds the money. Returns once that is certain. */
  abstract refund(request: PaymentRequest, key: string, signal: AbortSignal): Promise<void>;
}
