import { Injectable } from '@nestjs/common';
import { type ChargeResult, PaymentGateway } from '../../application/payment-gateway.js';

/** Moves no money itself: an operator or the provider's webhook reports the result, and refunds are sent by hand. */
@Injectable()
export class ManualGateway extends PaymentGateway {
  override readonly name = 'manual';
  override readonly automatic = false;

  /** Never called, because this gateway is not automatic. */
  override charge(): Promise<ChargeResult> {
    return Promise.resolve({ status: 'PENDING' });
  }

  override refund(): Promise<void> {
    return Promise.resolve();
  }
}
