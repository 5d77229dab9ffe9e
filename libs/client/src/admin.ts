import { isProblem as isAnyProblem } from './errors.js';
import { type AdminClient, adminOperations, type AdminProblem } from './generated/admin/operations.gen.js';
import { type ClientOptions } from './options.js';
import { ServiceClient } from './service-client.js';

export type * from './generated/admin/operations.gen.js';
export type * from './generated/admin/types.gen.js';
export * from './index.js';

/** Creates a client of the administration of messaging, which every service has. It needs no closing. */
export function createAdminClient(options: ClientOptions): AdminClient {
  return adminOperations(new ServiceClient(options));
}

/** Whether an error is a problem of the administration, or one with one of these codes. */
export function isProblem<C extends AdminProblem['code']>(
  error: unknown,
  ...codes: C[]
): error is Extract<AdminProblem, { readonly code: C }> {
  return isAnyProblem(error, ...codes);
}
