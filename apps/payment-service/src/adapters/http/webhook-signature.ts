import { Injectable } from '@nestjs/common';
import { ProblemException } from '@twinbox/api-kit';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { PaymentServiceConfig } from '../../config.js';
import { webhookProblems } from './webhook-problems.js';

/** As long as the inbox can keep it. */
const MAX_ID = 255;

/**
 * Proves that a webhook comes from the provider, as it was and now: https://www.standardwebhooks.com, v1 (HMAC-SHA256). While the
 * provider rotates its secret, any signature by any of the secrets is a proof.
 */
@Injectable()
export class WebhookSignature {
  private readonly webhooks: readonly Webhook[];

  constructor({ WEBHOOK_SECRET = '' }: PaymentServiceConfig) {
    const secrets = WEBHOOK_SECRET.split(/[\s,]+/).filter((secret) => secret !== '');
    this.webhooks = secrets.map((secret) => new Webhook(secret));
  }

  /**
   * The message's id, the same however often it is sent.
   * @throws ProblemException when the signature is not the provider's, when it was made more than 5 minutes ago, and when no secret is set
   */
  verify(body: Buffer, headers: NodeJS.Dict<string | string[]>): string {
    if (this.webhooks.length === 0) throw problem('webhooks-not-configured');
    const header = (name: string) => headers[`webhook-${name}`]?.toString() ?? '';
    const id = header('id');
    if (id.length > MAX_ID) throw problem('webhook-not-genuine', `webhook-id is longer than ${MAX_ID} characters.`);
    const signed = {
      'webhook-id': id,
      'webhook-timestamp': header('timestamp'),
      'webhook-signature': header('signature'),
    };
    const refusals = this.webhooks.map((webhook) => refusalOf(webhook, body, signed));
    // All of them are tried, so that the time of an answer tells nothing about the secrets.
    if (refusals.includes(undefined)) return id;
    throw problem('webhook-not-genuine', `${refusals[0]}.`);
  }
}

/** Why the webhook is not signed with this secret; undefined when it is. */
function refusalOf(webhook: Webhook, body: Buffer, headers: Record<string, string>): string | undefined {
  try {
    webhook.verify(body, headers, { jsonParse: false });
    return undefined;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.message;
    throw error;
  }
}

function problem(code: keyof typeof webhookProblems, detail?: string): ProblemException {
  const entry = webhookProblems[code];
  return new ProblemException({ code, status: entry.status, title: entry.title, detail: detail ?? entry.title });
}
