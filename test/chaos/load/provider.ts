import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { acceptedOf, type Answer, type Calls, otherShareOf, shareOf } from './calls.js';
import { PROVIDER_SHARE, UNDECIDED_SHARE } from './operators.js';
import { Random } from '../random.js';

/** A webhook of the payment provider, with the answers to all its deliveries. */
export interface Webhook {
  /** The `webhook-id`. */
  readonly id: string;
  readonly paymentRequestId: string;
  readonly type: 'payment.succeeded' | 'payment.failed';
  /** Whether it is signed with another secret. */
  readonly forged: boolean;
  /** The status of each answer and the outcome in its body. */
  readonly answers: readonly { readonly status: number; readonly outcome: string }[];
}

/** What the provider needs to know. */
export interface ProviderContext {
  readonly calls: Calls;
  readonly urls: readonly string[];
  readonly seed: number;
  readonly secret: string;
  /** The time to live of a payment. The provider reports some payments after it. */
  readonly paymentTtlMs: number;
  readonly closing: AbortSignal;
  readonly webhooks: Webhook[];
}

const POLL_MS = 500;

/** Returns a new secret in the format of Standard Webhooks. */
export const newSecret = () => `whsec_${randomBytes(24).toString('base64')}`;

/** Reports its share of the payments: in time, late, twice, with contradictory results, and to both replicas. Some reports are forged. */
export class Provider {
  private readonly known = new Set<string>();
  private readonly reports: Promise<void>[] = [];
  private readonly random: Random;

  constructor(private readonly context: ProviderContext) {
    this.random = new Random(context.seed + 3);
  }

  /** Works until `closing` is aborted. */
  async work(): Promise<void> {
    const { calls, urls, closing } = this.context;
    const headers = { 'x-user-id': 'provider', 'x-roles': 'operator' };
    for (let turn = 0; !closing.aborted; turn++) {
      const request = { method: 'GET', path: '/payment-requests?limit=100', headers } as const;
      const answers = [await calls.ask(urls[turn % urls.length] ?? '', request)];
      const [page] = acceptedOf<{ items: { id: string }[] }>(answers);
      for (const { id } of page?.items ?? []) {
        if (this.known.has(id)) continue;
        this.known.add(id);
        const share = shareOf(id) - UNDECIDED_SHARE;
        if (share >= 0 && share < PROVIDER_SHARE) this.reports.push(this.report(id));
      }
      await delay(POLL_MS, undefined, { signal: closing }).catch(() => undefined);
    }
    await Promise.all(this.reports);
  }

  private async report(paymentRequestId: string): Promise<void> {
    const { paymentTtlMs, closing } = this.context;
    const late = this.random.next() < 0.5;
    const waitMs = late ? this.random.between(1000, 1.3 * paymentTtlMs) : this.random.between(0, 1000);
    await delay(waitMs, undefined, { signal: closing }).catch(() => undefined);
    const type = otherShareOf(paymentRequestId) < 0.75 ? 'payment.succeeded' : 'payment.failed';
    if (!closing.aborted) await this.send(paymentRequestId, type, this.random.next() < 0.1);
    if (!closing.aborted && this.random.next() < 0.25) await this.send(paymentRequestId, 'payment.succeeded', false);
  }

  private async send(paymentRequestId: string, type: Webhook['type'], forged: boolean): Promise<void> {
    const { calls, urls, secret } = this.context;
    const id = `msg_${randomUUID()}`;
    const timestamp = new Date().toISOString();
    const data = { paymentRequestId, ...(type === 'payment.failed' && { reason: 'declined by the bank' }) };
    const body = JSON.stringify({ type, timestamp, data });
    const headers = signed(id, body, forged ? newSecret() : secret);
    const request = { method: 'POST', path: '/webhooks/payments', headers, body } as const;
    const answers = await calls.sendRepeatedly(urls, this.random, request);
    this.context.webhooks.push({ id, paymentRequestId, type, forged, answers: answers.flatMap(summaryOf) });
  }
}

/** Signs according to https://www.standardwebhooks.com, v1. Independent of the library of the service, which must not test itself. */
function signed(id: string, body: string, secret: string): Record<string, string> {
  const timestamp = Math.floor(Date.now() / 1000);
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': `v1,${signature}` };
}

function summaryOf(answer: Answer | undefined): Webhook['answers'] {
  if (!answer) return [];
  const { outcome } = answer.body as { outcome?: unknown };
  return [{ status: answer.status, outcome: typeof outcome === 'string' ? outcome : '' }];
}
