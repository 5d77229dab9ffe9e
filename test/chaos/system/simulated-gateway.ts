import { createHash } from 'node:crypto';

/** The settings of the simulated gateway in a run. */
export interface SimulatedGatewaySettings {
  readonly delayMs: number;
  readonly failureRate: number;
  readonly seed: string;
}

/**
 * Whether the simulated gateway takes the money of a charge. The gateway keeps no records: the result of a charge depends only on the seed
 * and the key. This reimplements its rule independently.
 */
export function takesMoney({ seed, failureRate }: SimulatedGatewaySettings, paymentRequestId: string): boolean {
  const digest = createHash('sha256').update(`${seed}:${paymentRequestId}`).digest();
  return digest.readUInt32BE() / 2 ** 32 >= failureRate;
}
