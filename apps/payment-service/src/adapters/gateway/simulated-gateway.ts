import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChargeResult, PaymentGateway } from '../../application/payment-gateway.js';
import { type PaymentRequest } from '../../domain/payment-request.js';

export interface SimulatedGatewayOptions {
  /** How long every call takes, in milliseconds. */
  readonly delayMs: number;
  /** Which part of all charges fails, from 0 to 1. */
  readonly failureRate: number;
  /** The same seed decides the same of the same request. */
  readonly seed: string;
}

/** Settles by itself. It keeps nothing: what becomes of a charge follows from the seed and the key, so a repeated one ends the same. */
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

/** A number from 0 up to but not including 1, evenly spread and always the same for the same text. */
function chance(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32;
}
