import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { ApiExcludeController } from '@nestjs/swagger';
import {
  PaymentCancelled,
  type PaymentEvent,
  PaymentFailed,
  PaymentRefunded,
  PaymentRequested,
  PaymentSucceeded,
} from '@twinbox/contracts';
import { InboxContext, PermanentError } from '@twinbox/messaging';
import { HearPayment } from '../../application/apply-payment-event.js';
import { ORDER_PROCESS } from '../../platform.js';

@ApiExcludeController()
@Controller()
export class PaymentEventsController {
  constructor(private readonly hearPayment: HearPayment) {}

  @EventPattern<string>('PaymentRequested', ORDER_PROCESS)
  async onRequested(@Payload() data: PaymentRequested, @Ctx() context: InboxContext): Promise<void> {
    await this.hear(context, { type: 'PaymentRequested', data });
  }

  @EventPattern<string>('PaymentSucceeded', ORDER_PROCESS)
  async onSucceeded(@Payload() data: PaymentSucceeded, @Ctx() context: InboxContext): Promise<void> {
    await this.hear(context, { type: 'PaymentSucceeded', data });
  }

  @EventPattern<string>('PaymentFailed', ORDER_PROCESS)
  async onFailed(@Payload() data: PaymentFailed, @Ctx() context: InboxContext): Promise<void> {
    await this.hear(context, { type: 'PaymentFailed', data });
  }

  @EventPattern<string>('PaymentCancelled', ORDER_PROCESS)
  async onCancelled(@Payload() data: PaymentCancelled, @Ctx() context: InboxContext): Promise<void> {
    await this.hear(context, { type: 'PaymentCancelled', data });
  }

  @EventPattern<string>('PaymentRefunded', ORDER_PROCESS)
  async onRefunded(@Payload() data: PaymentRefunded, @Ctx() context: InboxContext): Promise<void> {
    await this.hear(context, { type: 'PaymentRefunded', data });
  }

  private async hear({ tx, message }: InboxContext, heard: PaymentEvent): Promise<void> {
    const decision = await this.hearPayment.execute(tx, heard, message.id);
    // A payment of an unknown order is a bug and must be visible. A late message is not rejected; the rule ignores it.
    if (!decision.accepted)
      throw new PermanentError(`${heard.type} for order ${heard.data.orderId}: ${decision.rejection.code}`);
  }
}
