import { Injectable } from '@nestjs/common';
import { Clock, reject } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type PaymentRequest, type PaymentResult } from '../domain/payment-request.js';
import {
  hearResult,
  type NamedMoney,
  type PaymentRejection,
  type ResultHearing,
  type ResultSource,
} from '../domain/payment-rules.js';
import { type DecidedChange, PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';

export interface HeardResult {
  readonly result: PaymentResult;
  readonly source: ResultSource;
  /** Left out: the source names none. */
  readonly named?: NamedMoney;
  /** What the source calls it: `payment.succeeded`, or our own job. */
  readonly type: string;
  readonly cause: string;
  readonly messageId: string | null;
}

interface Hearing {
  readonly request: PaymentRequest;
  readonly heard: HeardResult;
  readonly decision: ResultHearing;
}

/** What PaymentFailed and the request have room for. */
const MAX_REASON = 500;

type NotFound = Extract<PaymentRejection, { code: 'payment-request-not-found' }>;

/** The gateway or the provider tells how a charge ended. What changes nothing is passed over with a line. */
@Injectable()
export class HearPaymentResult {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly journal: PaymentJournal,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, paymentRequestId: string, heard: HeardResult) {
    const request = await this.requests.lock(tx, paymentRequestId);
    if (!request) return reject<NotFound>({ code: 'payment-request-not-found', paymentRequestId });
    const decision = this.decide(request, heard);
    await this.carryOut(tx, [{ request, heard, decision }]);
    return decision;
  }

  /** Many results in one transaction. Those of requests that somebody else has in hand are left out: gives the ids of the others. */
  async executeAvailable(tx: EntityManager, heard: ReadonlyMap<string, HeardResult>): Promise<ReadonlySet<string>> {
    const requests = await this.requests.lockAvailable(tx, [...heard.keys()]);
    const hearings = requests.flatMap((request) => {
      const result = heard.get(request.id);
      return result ? [{ request, heard: result, decision: this.decide(request, result) }] : [];
    });
    await this.carryOut(tx, hearings);
    return new Set(requests.map(({ id }) => id));
  }

  private decide(request: PaymentRequest, { result, source, named }: HeardResult): ResultHearing {
    return hearResult(request, storable(result), source, this.clock.now(), named);
  }

  private async carryOut(tx: EntityManager, hearings: readonly Hearing[]): Promise<void> {
    const changes: DecidedChange[] = [];
    for (const { request, heard, decision } of hearings) {
      const { source: actor, type, cause, messageId } = heard;
      const origin = { actor, cause, messageId };
      if (decision.accepted) {
        if (decision.events.length > 0) changes.push({ decision, origin });
      } else if (decision.rejection.code === 'amount-mismatched') {
        const { reason } = decision.rejection;
        await this.journal.note(tx, request, 'AmountMismatched', { type, reason }, origin);
      } else await this.journal.passOver(tx, request, decision.rejection, { ...origin, type });
    }
    await this.journal.recordAll(tx, changes);
  }
}

/** A reason as our columns and messages can take it, whatever a provider wrote: whole characters, and none that PostgreSQL refuses. */
function storable(result: PaymentResult): PaymentResult {
  if (result.status === 'SUCCEEDED') return result;
  const text = result.reason.toWellFormed().replaceAll('\0', ' ').trim();
  const reason = Array.from(text).slice(0, MAX_REASON).join('');
  return { status: 'FAILED', reason: reason || 'declined' };
}
