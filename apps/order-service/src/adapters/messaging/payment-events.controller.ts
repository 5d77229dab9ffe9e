import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { ApiExcludeController } from '@nestjs/swagger';
import { type PaymentEvent, PaymentFailed, PaymentRequested, PaymentSucceeded } from '@twinbox/contracts';
import { InboxContext, PermanentError } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { HearPayment } from '../../application/hear-payment.js';
import { ORDER_PROCESS } from '../../platform.js';

@ApiExcludeController()
@Controller()
export class PaymentEventsController {
  constructor(private readonly hearPayment: HearPayment) {}

  @EventPattern<string>('PaymentRequested', ORDER_PROCESS)
  async onRequested(@Payload() data: PaymentRequested, @Ctx() { tx }: InboxContext): Promise<void> {
    await this.hear(tx, { type: 'PaymentRequested', data });
  }

  @EventPattern<string>('PaymentSucceeded', ORDER_PROCESS)
  async onSucceeded(@Payload() data: PaymentSucceeded, @Ctx() { tx }: InboxContext): Promise<void> {
    await this.hear(tx, { type: 'PaymentSucceeded', data });
  }

  @EventPattern<string>('PaymentFailed', ORDER_PROCESS)
  async onFailed(@Payload() data: PaymentFailed, @Ctx() { tx }: InboxContext): Promise<void> {
    await this.hear(tx, { type: 'PaymentFailed', data });
  }

  private async hear(tx: EntityManager, heard: PaymentEvent): Promise<void> {
    const decision = await this.hearPayment.execute(tx, heard);
    // payment-service decides each payment once and in order, so a refusal is a bug to be seen.
    if (!decision.accepted)
      throw new PermanentError(`${heard.type} for order ${heard.data.orderId}: ${decision.rejection.code}`);
  }
}
