import { Injectable } from '@nestjs/common';
import { ProblemException } from '@twinbox/api-kit';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { PaymentServiceConfig } from '../../config.js';
import { webhookProblems } from './webhook-problems.js';

/** The longest id that the inbox can store. */
const MAX_ID = 255;

/**
 * Verifies the provider's signature as specified by https://www.standardwebhooks.com, v1 (HMAC-SHA256). While the provider rotates its
 * secret, a signature by any of the configured secrets is valid.
 */
@Injectable()
export class WebhookSignature {
  private readonly webhooks: readonly Webhook[];

  constructor({ WEBHOOK_SECRET = '' }: PaymentServiceConfig) {
    const secrets = WEBHOOK_SECRET.split(/[\s,]+/).filter((secret) => secret !== '');
    this.webhooks = secrets.map((secret) => new Webhook(secret));
  }

  /** Returns the message id, equal for all deliveries. Throws a problem if no secret is set or the signature is invalid or outdated. */
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
    const errors = this.webhooks.map((webhook) => verificationError(webhook, body, signed));
    // All secrets are tried, so that the response time reveals nothing about them.
    if (errors.includes(undefined)) return id;
    throw problem('webhook-not-genuine', `${errors[0]}.`);
  }
}

/** Why the signature is invalid for this secret; undefined when it is valid. */
function verificationError(webhook: Webhook, body: Buffer, headers: Record<string, string>): string | undefined {
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
