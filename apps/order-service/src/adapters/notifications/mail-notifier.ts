import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PermanentError } from '@twinbox/messaging';
import { isEmail } from 'class-validator';
import { createTransport, type NodemailerError } from 'nodemailer';
import { type Notification, Notifier } from '../../application/notifier.js';

export interface MailSettings {
  /** `smtp://user:password@host:port`, or `smtps://…`. */
  readonly url: string;
  /** The sender. */
  readonly from: string;
  /** Where a customer has a mailbox whose id is no e-mail address itself: `<customerId>@<domain>`. */
  readonly domain: string | undefined;
}

/** A server that says nothing for so long is away. */
const SILENT_MS = 10_000;

/** Sends an e-mail over SMTP. */
@Injectable()
export class MailNotifier extends Notifier implements OnApplicationShutdown {
  private readonly transport;

  constructor(private readonly settings: MailSettings) {
    super();
    this.transport = createTransport({
      pool: true,
      url: settings.url,
      connectionTimeout: SILENT_MS,
      greetingTimeout: SILENT_MS,
      socketTimeout: SILENT_MS,
    });
  }

  override async notify(notification: Notification, key: string): Promise<void> {
    const { from } = this.settings;
    try {
      await this.transport.sendMail({
        from,
        to: this.addressOf(notification.customerId),
        // The same for each attempt: a mailbox that has it already shows it once.
        messageId: `<${key}@twinbox>`,
        // RFC 3834, section 5: no responder answers it, nor does a vacation notice.
        headers: { 'Auto-Submitted': 'auto-generated' },
        ...letter(notification),
      });
    } catch (error) {
      const { responseCode = 0 } = error as NodemailerError;
      // RFC 5321, section 4.2.1: 5yz is for good. What is said of our own login is not about this letter.
      if (responseCode >= 550 && responseCode < 560)
        throw new PermanentError('the mail server refuses the message', { cause: error });
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

function letter({ type, orderId, reason }: Notification): { subject: string; text: string } {
  switch (type) {
    case 'OrderCompleted':
      return { subject: 'Your order is paid', text: `Thank you! Order ${orderId} is paid and on its way.\n` };
    case 'OrderCancelled':
      return {
        subject: 'Your order is cancelled',
        text: `Order ${orderId} is cancelled${reason === null ? '' : ` (${reason})`}. If you have paid for it, your money comes back to you.\n`,
      };
    case 'OrderFinished':
      return { subject: 'Your order is finished', text: `Order ${orderId} is finished. We hope to see you again!\n` };
  }
}
