import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChargeResult, PaymentGateway } from '../../application/payment-gateway.js';
import { type PaymentRequest } from '../../domain/payment-request.js';

export interface SimulatedGatewayOptions {
  readonly delayMs: number;
  /** The share of charges that fail, from 0 to 1. */
  readonly failureRate: number;
  readonly seed: string;
}

/** Settles payments without a provider. It is stateless: the seed and the key determine the result, so a retry gets the same one. */
export class SimulatedGateway extends PaymentGateway {
  override readonly name = 'simulated';
  override readonly automatic = true;

  constructor(private readonly options: SimulatedGatewayOptions) {
    super();
  }

  override async charge(_request: PaymentRequest, key: string, signal: AbortSignal): Promise<ChargeResult> {
    await this.take(signal);
    return chance(`${this.options.seed}:${key}`) < this.options.failureRate
      ? { status: 'FAILED', reason: 'declined' }
      : { status: 'SUCCEEDED' };
  }

  override async refund(_request: PaymentRequest, _key: string, signal: AbortSignal): Promise<void> {
    await this.take(signal);
  }

  private async take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.options.delayMs > 0) await sleep(this.options.delayMs, undefined, { signal });
  }
}

/** Maps a text to a fixed number in [0, 1), evenly distributed. */
function chance(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32;
}
