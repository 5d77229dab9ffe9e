import { Injectable } from '@nestjs/common';
import { type ChargeResult, PaymentGateway } from '../../application/payment-gateway.js';

/** No machine moves the money: an operator, or the provider's webhook, tells of it. What is to go back, somebody sends back by hand. */
@Injectable()
export class ManualGateway extends PaymentGateway {
  override readonly name = 'manual';
  override readonly automatic = false;

  /** Nobody asks, for it is not automatic: the result comes another way. */
  override charge(): Promise<ChargeResult> {
    return Promise.resolve({ status: 'PENDING' });
  }

  override refund(): Promise<void> {
    return Promise.resolve();
  }
}
