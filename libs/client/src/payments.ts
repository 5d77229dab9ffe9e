import { isProblem as isAnyProblem } from './errors.js';
import { type PaymentsClient, paymentsOperations, type PaymentsProblem } from './generated/payments/operations.gen.js';
import { type ClientOptions } from './options.js';
import { ServiceClient } from './service-client.js';

export type * from './generated/payments/operations.gen.js';
export type * from './generated/payments/types.gen.js';
export * from './index.js';

/** Creates a client of payment-service. It needs no closing. */
export function createPaymentsClient(options: ClientOptions): PaymentsClient {
  return paymentsOperations(new ServiceClient(options));
}

/** Whether an error is a problem of payment-service, or one with one of these codes. */
export function isProblem<C extends PaymentsProblem['code']>(
  error: unknown,
  ...codes: C[]
): error is Extract<PaymentsProblem, { readonly code: C }> {
  return isAnyProblem(error, ...codes);
}
