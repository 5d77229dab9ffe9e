import { Injectable, Logger } from '@nestjs/common';
import { type Notification, Notifier } from '../../application/notifier.js';

@Injectable()
export class LogNotifier extends Notifier {
  private readonly logger = new Logger('Notifications');

  override notify({ type, orderId, customerId }: Notification): Promise<void> {
    this.logger.log(`Notifying the customer of ${type}`, { orderId, customerId });
    return Promise.resolve();
  }
}
