import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PermanentError } from '@twinbox/messaging';
import { isEmail } from 'class-validator';
import { createTransport, type NodemailerError } from 'nodemailer';
import { type Notification, Notifier } from '../../application/notifier.js';

export interface MailSettings {
  /** `smtp://user:password@host:port`, or `smtps://…`. */
  readonly url: string;
  readonly from: string;
  /** Customers whose id is not an e-mail address are reached at `<customerId>@<domain>`. */
  readonly domain: string | undefined;
}

const TIMEOUT_MS = 10_000;

@Injectable()
export class MailNotifier extends Notifier implements OnApplicationShutdown {
  private readonly transport;

  constructor(private readonly settings: MailSettings) {
    super();
    this.transport = createTransport({
      pool: true,
      url: settings.url,
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
    });
  }

  override async notify(notification: Notification, key: string): Promise<void> {
    const { from } = this.settings;
    try {
      await this.transport.sendMail({
        from,
        to: this.addressOf(notification.customerId),
        // The same for each attempt, so that a mailbox shows duplicates once.
        messageId: `<${key}@twinbox>`,
        // RFC 3834, section 5: keeps auto-responders from answering.
        headers: { 'Auto-Submitted': 'auto-generated' },
        ...contentOf(notification),
      });
    } catch (error) {
      const { responseCode = 0 } = error as NodemailerError;
      // RFC 5321, section 4.2.1: 5yz is permanent. Other 5yz codes may be about our login instead of this message.
      if (responseCode >= 550 && responseCode < 560)
        throw new PermanentError('the mail server rejected the message', { cause: error });
      throw error;
    }
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
