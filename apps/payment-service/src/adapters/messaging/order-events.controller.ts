import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { ApiExcludeController } from '@nestjs/swagger';
import { OrderCancelled, OrderPlaced } from '@twinbox/contracts';
import { InboxContext } from '@twinbox/messaging';
import { CancelPayment } from '../../application/cancel-payment.js';
import { CreatePaymentRequest } from '../../application/create-payment-request.js';
import { PAYMENT_PROCESS } from '../../topology.js';

/** The inbox has opened `tx` and dropped duplicates. Handlers touch only the rows of their own order, because they group-commit. */
@ApiExcludeController()
@Controller()
export class OrderEventsController {
  constructor(
    private readonly createPaymentRequest: CreatePaymentRequest,
    private readonly cancelPayment: CancelPayment,
  ) {}

  @EventPattern<string>('OrderPlaced', PAYMENT_PROCESS)
  async onPlaced(@Payload() placed: OrderPlaced, @Ctx() { tx, message }: InboxContext): Promise<void> {
    await this.createPaymentRequest.execute(tx, placed, message.id);
  }

  @EventPattern<string>('OrderCancelled', PAYMENT_PROCESS)
  async onCancelled(@Payload() cancelled: OrderCancelled, @Ctx() { tx, message }: InboxContext): Promise<void> {
    await this.cancelPayment.execute(tx, cancelled, message.id);
  }
}
