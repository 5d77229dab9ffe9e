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
import { ApplyPaymentEvent } from '../../application/apply-payment-event.js';
import { ORDER_PROCESS } from '../../topology.js';

@ApiExcludeController()
@Controller()
export class PaymentEventsController {
  constructor(private readonly applyPaymentEvent: ApplyPaymentEvent) {}

  @EventPattern<string>('PaymentRequested', ORDER_PROCESS)
  async onRequested(@Payload() data: PaymentRequested, @Ctx() context: InboxContext): Promise<void> {
    await this.apply(context, { type: 'PaymentRequested', data });
  }

  @EventPattern<string>('PaymentSucceeded', ORDER_PROCESS)
  async onSucceeded(@Payload() data: PaymentSucceeded, @Ctx() context: InboxContext): Promise<void> {
    await this.apply(context, { type: 'PaymentSucceeded', data });
  }

  @EventPattern<string>('PaymentFailed', ORDER_PROCESS)
  async onFailed(@Payload() data: PaymentFailed, @Ctx() context: InboxContext): Promise<void> {
    await this.apply(context, { type: 'PaymentFailed', data });
  }

  @EventPattern<string>('PaymentCancelled', ORDER_PROCESS)
  async onCancelled(@Payload() data: PaymentCancelled, @Ctx() context: InboxContext): Promise<void> {
    await this.apply(context, { type: 'PaymentCancelled', data });
  }

  @EventPattern<string>('PaymentRefunded', ORDER_PROCESS)
  async onRefunded(@Payload() data: PaymentRefunded, @Ctx() context: InboxContext): Promise<void> {
    await this.apply(context, { type: 'PaymentRefunded', data });
  }

  private async apply({ tx, message }: InboxContext, event: PaymentEvent): Promise<void> {
    const decision = await this.applyPaymentEvent.execute(tx, event, message.id);
    // A payment of an unknown order is a bug and must be visible. A late message is not rejected; the rule ignores it.
    if (!decision.accepted)
      throw new PermanentError(`${event.type} for order ${event.data.orderId}: ${decision.rejection.code}`);
  }
}
