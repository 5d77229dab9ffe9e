import { createHash } from 'node:crypto';

/** How the simulated gateway is set in a run. */
export interface GatewayTerms {
  readonly delayMs: number;
  readonly failureRate: number;
  readonly seed: string;
}

/**
 * Whether the simulated gateway takes the money when it is asked for it. It keeps no books: what becomes of a charge follows from
 * the seed and the key. So this is its rule once more, and whoever is found to have been charged was charged.
 */
export function takesMoney({ seed, failureRate }: GatewayTerms, paymentRequestId: string): boolean {
  const digest = createHash('sha256').update(`${seed}:${paymentRequestId}`).digest();
  return digest.readUInt32BE() / 2 ** 32 >= failureRate;
}
