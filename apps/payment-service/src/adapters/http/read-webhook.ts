import { parseJson, type ProblemException, validationProblem } from '@twinbox/api-kit';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { type NamedMoney } from '../../domain/charge-result.js';
import { type PaymentResult } from '../../domain/payment-request.js';
import { WEBHOOK_TYPES, WebhookDto } from './webhook.dto.js';

/** Parses the body of a verified webhook; undefined for a type that is not used here. Throws a 400 problem for an invalid body. */
export function readWebhook(body: Buffer): WebhookDto | undefined {
  const value = parseJson(body);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('#', 'must be a JSON object');
  const { type } = value as { type?: unknown };
  if (typeof type !== 'string') throw invalid('#/type', 'type must be a string');
  if (!(WEBHOOK_TYPES as readonly string[]).includes(type)) return undefined;

  const webhook = plainToInstance(WebhookDto, value);
  const [error] = validateSync(webhook);
  if (!error) return webhook;
  const inner = error.children?.[0];
  const [detail = 'is not valid'] = Object.values(inner?.constraints ?? error.constraints ?? {});
  throw invalid(`#/${error.property}${inner ? `/${inner.property}` : ''}`, detail);
}

export function resultOf({ type, data: { reason = '' } }: WebhookDto): PaymentResult {
  return type === 'payment.succeeded' ? { status: 'SUCCEEDED' } : { status: 'FAILED', reason };
}

export function moneyOf({ data: { amount, currency } }: WebhookDto): NamedMoney {
  return { amount: amount ?? null, currency: currency ?? null };
}

function invalid(pointer: string, detail: string): ProblemException {
  return validationProblem([{ pointer, detail }]);
}
