import { Injectable } from '@nestjs/common';
import { ProblemException } from '@twinbox/api-kit';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { PaymentServiceConfig } from '../../config.js';
import { webhookProblems } from './webhook-problems.js';

/** As long as the inbox can keep it. */
const MAX_ID = 255;

/** Proves that a webhook comes from the provider, as it was and now: https://www.standardwebhooks.com, v1 (HMAC-SHA256). */
@Injectable()
export class WebhookSignature {
  private readonly webhook: Webhook | undefined;

  constructor({ WEBHOOK_SECRET }: PaymentServiceConfig) {
    this.webhook = WEBHOOK_SECRET === undefined ? undefined : new Webhook(WEBHOOK_SECRET);
  }

  /**
   * The message's id, the same however often it is sent.
   * @throws ProblemException when the signature is not the provider's, when it was made more than 5 minutes ago, and when no secret is set
   */
  verify(body: Buffer, headers: NodeJS.Dict<string | string[]>): string {
    if (!this.webhook) throw problem('webhooks-not-configured');
    const header = (name: string) => headers[`webhook-${name}`]?.toString() ?? '';
    const id = header('id');
    if (id.length > MAX_ID) throw problem('webhook-not-genuine', `webhook-id is longer than ${MAX_ID} characters.`);
    try {
      this.webhook.verify(
        body,
        { 'webhook-id': id, 'webhook-timestamp': header('timestamp'), 'webhook-signature': header('signature') },
        { jsonParse: false },
      );
      return id;
    } catch (error) {
      if (error instanceof WebhookVerificationError) throw problem('webhook-not-genuine', `${error.message}.`);
      throw error;
    }
  }
}

function problem(code: keyof typeof webhookProblems, detail?: string): ProblemException {
  const entry = webhookProblems[code];
  return new ProblemException({ code, status: entry.status, title: entry.title, detail: detail ?? entry.title });
}
