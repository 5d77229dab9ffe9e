import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PermanentError } from '@twinbox/messaging';
import { isEmail } from 'class-validator';
import { type Notification, Notifier } from '../../application/notifier.js';
import { type MailServer, MailTransport } from './mail-transport.js';

export interface MailSettings extends MailServer {
  readonly from: string;
  /** Customers whose id is not an e-mail address are reached at `<customerId>@<domain>`. */
  readonly domain: string | undefined;
}

@Injectable()
export class MailNotifier extends Notifier implements OnApplicationShutdown {
  private readonly transport;

  constructor(private readonly settings: MailSettings) {
    super();
    this.transport = new MailTransport(settings);
  }

  override async notify(notification: Notification, key: string): Promise<void> {
    await this.transport.send({
      from: this.settings.from,
      to: this.addressOf(notification.customerId),
      // The same for each attempt, so that a mailbox shows duplicates once.
      messageId: `<${key}@twinbox>`,
      // RFC 3834, section 5: keeps auto-responders from answering.
      headers: { 'Auto-Submitted': 'auto-generated' },
      ...contentOf(notification),
    });
  }

  onApplicationShutdown(): void {
    this.transport.close();
  }

  private addressOf(customerId: string): string {
    const { domain } = this.settings;
    const address = domain === undefined || customerId.includes('@') ? customerId : `${customerId}@${domain}`;
    if (!isEmail(address)) throw new PermanentError('the customer has no e-mail address');
    return address;
  }
}

function contentOf({ type, orderId, reason }: Notification): { subject: string; text: string } {
  switch (type) {
    case 'OrderCompleted':
      return { subject: 'Your order is paid', text: `Thank you! Order ${orderId} is paid and on its way.\n` };
    case 'OrderCancelled':
      return {
        subject: 'Your order was cancelled',
        text: `Order ${orderId} was cancelled${reason === null ? '' : ` (${reason})`}. If you have already paid, you will get a refund.\n`,
      };
    case 'OrderFinished':
      return { subject: 'Your order is finished', text: `Order ${orderId} is finished. We hope to see you again!\n` };
  }
}
