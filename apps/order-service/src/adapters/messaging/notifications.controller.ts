import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { ApiExcludeController } from '@nestjs/swagger';
import { OrderCancelled, OrderCompleted, OrderFinished } from '@twinbox/contracts';
import { InboxContext, Jobs } from '@twinbox/messaging';
import { type Notification } from '../../application/notifier.js';
import { NOTIFICATIONS } from '../../topology.js';
import { NOTIFICATION_QUEUE } from '../notifications/notification-jobs.js';

@ApiExcludeController()
@Controller()
export class NotificationsController {
  constructor(private readonly jobs: Jobs) {}

  @EventPattern<string>('OrderCompleted', NOTIFICATIONS)
  async onCompleted(@Payload() { orderId, customerId }: OrderCompleted, @Ctx() context: InboxContext): Promise<void> {
    await this.add(context, { type: 'OrderCompleted', orderId, customerId, reason: null });
  }

  @EventPattern<string>('OrderCancelled', NOTIFICATIONS)
  async onCancelled(@Payload() cancelled: OrderCancelled, @Ctx() context: InboxContext): Promise<void> {
    const { orderId, customerId, reason } = cancelled;
    await this.add(context, { type: 'OrderCancelled', orderId, customerId, reason });
  }

  @EventPattern<string>('OrderFinished', NOTIFICATIONS)
  async onFinished(@Payload() { orderId, customerId }: OrderFinished, @Ctx() context: InboxContext): Promise<void> {
    await this.add(context, { type: 'OrderFinished', orderId, customerId, reason: null });
  }

  private async add({ tx }: InboxContext, notification: Notification): Promise<void> {
    await this.jobs.add(tx, NOTIFICATION_QUEUE, notification, { aggregateId: notification.orderId });
  }
}
