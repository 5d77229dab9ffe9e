import { isProblem as isAnyProblem } from './errors.js';
import { type OrdersClient, ordersOperations, type OrdersProblem } from './generated/orders/operations.gen.js';
import { type ClientOptions } from './options.js';
import { ServiceClient } from './service-client.js';

export type * from './generated/orders/operations.gen.js';
export type * from './generated/orders/types.gen.js';
export * from './index.js';

/** Creates a client of order-service. It needs no closing. */
export function createOrdersClient(options: ClientOptions): OrdersClient {
  return ordersOperations(new ServiceClient(options));
}

/** Whether an error is a problem of order-service, or one with one of these codes. */
export function isProblem<C extends OrdersProblem['code']>(
  error: unknown,
  ...codes: C[]
): error is Extract<OrdersProblem, { readonly code: C }> {
  return isAnyProblem(error, ...codes);
}
