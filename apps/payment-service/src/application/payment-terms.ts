export abstract class PaymentTerms {
  /** How long a request waits for its payment, in milliseconds. */
  abstract readonly ttlMs: number;
}
