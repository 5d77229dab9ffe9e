import { Injectable, Logger } from '@nestjs/common';
import { type Notification, Notifier } from '../../application/notifier.js';

/** Writes a line of the log in place of a letter. */
@Injectable()
export class LogNotifier extends Notifier {
  private readonly logger = new Logger('Notifications');

  override notify({ type, orderId, customerId }: Notification): Promise<void> {
    this.logger.log(`The customer is told of ${type}`, { orderId, customerId });
    return Promise.resolve();
  }
}
