import { Injectable } from '@nestjs/common';
import { optionalSecretOf, ProblemException, SecurityEvents } from '@twinbox/api-kit';
import { reveal, type Secret } from '@twinbox/messaging/session-client';
import type { FastifyRequest } from 'fastify';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { PaymentServiceConfig } from '../../config.js';
import { webhookProblems } from './webhook-problems.js';

/** The longest id that the inbox can store. */
const MAX_ID = 255;
/** How long a replaced secret may stay valid. Reading the file for each webhook would cost more. */
const READ_AGAIN_AFTER_MS = 1000;

/**
 * Verifies the provider's signature as specified by https://www.standardwebhooks.com, v1 (HMAC-SHA256). While the provider rotates its
 * secret, a signature by any of the configured secrets is valid. Those in a file are read again, at most once a second.
 */
@Injectable()
export class WebhookSignature {
  private readonly secret: Secret | undefined;
  private webhooks: readonly Webhook[];
  private readAt = performance.now();

  constructor(
    config: PaymentServiceConfig,
    private readonly events: SecurityEvents,
  ) {
    this.secret = optionalSecretOf(config, 'WEBHOOK_SECRET');
    this.webhooks = this.configured();
  }

  /** Returns the message id, equal for all deliveries. Throws a problem if no secret is set or the signature is invalid or outdated. */
  verify(body: Buffer, request: FastifyRequest): string {
    if (this.webhooks.length === 0) throw problem('webhooks-not-configured');
    this.readAgain();
    const header = (name: string) => request.headers[`webhook-${name}`]?.toString() ?? '';
    const id = header('id');
    if (id.length > MAX_ID) throw this.refused(request, `webhook-id is longer than ${MAX_ID} characters.`);
    const signed = {
      'webhook-id': id,
      'webhook-timestamp': header('timestamp'),
      'webhook-signature': header('signature'),
    };
    const reason = this.reasonAgainst(body, signed);
    if (reason === undefined) return id;
    throw this.refused(request, `${reason}.`);
  }

  private reasonAgainst(body: Buffer, signed: Record<string, string>): string | undefined {
    const errors = this.webhooks.map((webhook) => verificationError(webhook, body, signed));
    // All secrets are tried, so that the response time reveals nothing about them.
    return errors.includes(undefined) ? undefined : errors[0];
  }

  private readAgain(): void {
    if (performance.now() - this.readAt < READ_AGAIN_AFTER_MS) return;
    this.readAt = performance.now();
    this.webhooks = this.configured();
  }

  private configured(): readonly Webhook[] {
    const secrets = this.secret === undefined ? [] : reveal(this.secret).split(/[\s,]+/);
    return secrets.filter((secret) => secret !== '').map((secret) => new Webhook(secret));
  }

  private refused(request: FastifyRequest, reason: string): ProblemException {
    this.events.report(request, 'webhook-refused', reason);
    return problem('webhook-not-genuine', reason);
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
