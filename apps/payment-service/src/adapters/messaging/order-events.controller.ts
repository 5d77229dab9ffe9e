import { Controller, Logger } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { ApiExcludeController } from '@nestjs/swagger';
import { OrderPlaced } from '@twinbox/contracts';
import { InboxContext } from '@twinbox/messaging';
import { CreatePaymentRequest } from '../../application/create-payment-request.js';
import { PAYMENT_PROCESS } from '../../platform.js';

@ApiExcludeController()
@Controller()
export class OrderEventsController {
  private readonly logger = new Logger(OrderEventsController.name);

  constructor(private readonly createPaymentRequest: CreatePaymentRequest) {}

  @EventPattern<string>('OrderPlaced', PAYMENT_PROCESS)
  async onPlaced(@Payload() placed: OrderPlaced, @Ctx() { tx }: InboxContext): Promise<void> {
    const created = await this.createPaymentRequest.execute(tx, placed);
    // The inbox drops the same message; this is another one that says the same, from a publisher that lost its memory.
    if (!created) this.logger.warn('Passed over: the order has its payment request already.');
  }
}
