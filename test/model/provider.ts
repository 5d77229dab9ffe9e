import { type ChargeResult, PaymentGateway } from '../../apps/payment-service/src/application/payment-gateway.js';
import { type PaymentRequest } from '../../apps/payment-service/src/domain/payment-request.js';

/** How a call to the provider ends. `LOST`: it takes effect, but the answer is lost. `DOWN`: it has no effect. */
export type CallEnd = 'SUCCEEDED' | 'FAILED' | 'PENDING' | 'LOST' | 'DOWN';

interface Call {
  readonly kind: 'charge' | 'refund';
  readonly request: PaymentRequest;
  /** Returns true when the caller received the result of the charge. */
  readonly end: (how: CallEnd) => boolean;
}

/** The outcome of a call is unknown. */
export class NoAnswer extends Error {}

/** The payment provider. Calls with the same key take effect once, and every call runs until `end` is called. */
export class Provider extends PaymentGateway {
  override readonly name = 'provider';
  /** Amounts charged and refunded, by request. */
  readonly charged = new Map<string, number>();
  readonly refunded = new Map<string, number>();
  /** The calls in flight. */
  readonly calls = new Set<Call>();
  private readonly answers = new Map<string, ChargeResult>();

  constructor(
    override readonly automatic: boolean,
    private readonly isTransactionOpen: () => boolean,
  ) {
    super();
  }

  override async charge(request: PaymentRequest, key: string): Promise<ChargeResult> {
    return this.call('charge', request, (how) => {
      const status = how === 'LOST' ? 'SUCCEEDED' : how;
      const result = this.answers.get(key) ?? (status === 'FAILED' ? { status, reason: 'declined' } : { status });
      this.answers.set(key, result);
      if (result.status === 'SUCCEEDED') this.take(request);
      return result;
    });
  }

  override async refund(request: PaymentRequest): Promise<void> {
    await this.call('refund', request, () => {
      this.refunded.set(request.id, request.amount);
      return { status: 'PENDING' };
    });
  }

  /** Records that the money arrived, by whatever way. */
  take({ id, amount }: PaymentRequest): void {
    this.charged.set(id, amount);
  }

  private async call(
    kind: Call['kind'],
    request: PaymentRequest,
    effect: (how: Exclude<CallEnd, 'DOWN'>) => ChargeResult,
  ): Promise<ChargeResult> {
    if (this.isTransactionOpen()) throw new Error(`A ${kind} was requested inside a transaction`);
    const { promise, resolve, reject } = Promise.withResolvers<ChargeResult>();
    const call = {
      kind,
      request,
      end: (how: CallEnd) => {
        this.calls.delete(call);
        const result = how === 'DOWN' ? undefined : effect(how);
        if (how === 'LOST' || result === undefined) reject(new NoAnswer());
        else resolve(result);
        return how !== 'LOST' && result !== undefined && result.status !== 'PENDING';
      },
    };
    this.calls.add(call);
    return promise;
  }
}
