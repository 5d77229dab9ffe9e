/**
 * A secret, or a function that returns its present value, so that it can be replaced while the process runs. The function is called for
 * every new connection and whenever a connection authenticates again.
 */
export type Secret = string | (() => string);

/** Returns the present value of the secret. */
export function reveal(secret: Secret): string {
  return typeof secret === 'function' ? secret() : secret;
}
