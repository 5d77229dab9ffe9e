import { Injectable } from '@nestjs/common';
import { Clock, reject } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { applyResult, type NamedMoney, type ResultDecision } from '../domain/charge-result.js';
import {
  type PaymentRejection,
  type PaymentRequest,
  type PaymentResult,
  type ResultSource,
} from '../domain/payment-request.js';
import { type DecidedChange, PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';

export interface ResultReport {
  readonly result: PaymentResult;
  readonly source: ResultSource;
  /** Absent when the source names no money. */
  readonly named?: NamedMoney;
  /** The source's name for it, such as `payment.succeeded`, or the name of our own job. */
  readonly type: string;
  readonly cause: string;
  readonly messageId: string | null;
}

interface DecidedReport {
  readonly request: PaymentRequest;
  readonly report: ResultReport;
  readonly decision: ResultDecision;
}

/** The maximum length in PaymentFailed and in the database. */
const MAX_REASON = 500;

type NotFound = Extract<PaymentRejection, { code: 'payment-request-not-found' }>;

/** Applies the result of a charge that the gateway or the provider reports. A result that changes nothing is noted in the timeline. */
@Injectable()
export class ApplyPaymentResult {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly journal: PaymentJournal,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, paymentRequestId: string, report: ResultReport) {
    const request = await this.requests.lock(tx, paymentRequestId);
    if (!request) return reject<NotFound>({ code: 'payment-request-not-found', paymentRequestId });
    const decision = this.decide(request, report);
    await this.save(tx, [{ request, report, decision }]);
    return decision;
  }

  /** Applies many results in one transaction. Skips requests that others have locked, and returns the ids of the rest. */
  async executeAvailable(tx: EntityManager, reports: ReadonlyMap<string, ResultReport>): Promise<ReadonlySet<string>> {
    const requests = await this.requests.lockAvailable(tx, [...reports.keys()]);
    const decided = requests.flatMap((request) => {
      const report = reports.get(request.id);
      return report ? [{ request, report, decision: this.decide(request, report) }] : [];
    });
    await this.save(tx, decided);
    return new Set(requests.map(({ id }) => id));
  }

  private decide(request: PaymentRequest, { result, source, named }: ResultReport): ResultDecision {
    return applyResult(request, storable(result), source, this.clock.now(), named);
  }

  private async save(tx: EntityManager, decided: readonly DecidedReport[]): Promise<void> {
    const changes: DecidedChange[] = [];
    for (const { request, report, decision } of decided) {
      const { source: actor, type, cause, messageId } = report;
      const origin = { actor, cause, messageId };
      if (decision.accepted) changes.push({ decision, origin });
      else if (decision.rejection.code === 'amount-mismatched') {
        const { reason } = decision.rejection;
        await this.journal.note(tx, request, 'AmountMismatched', { type, reason }, origin);
      } else await this.journal.noteIgnored(tx, request, decision.rejection, { ...origin, type });
    }
    await this.journal.recordAll(tx, changes);
  }
}

/** Makes a provider's reason fit for our columns and messages: only whole characters, and none that PostgreSQL rejects. */
function storable(result: PaymentResult): PaymentResult {
  if (result.status === 'SUCCEEDED') return result;
  const text = result.reason.toWellFormed().replaceAll('\0', ' ').trim();
  const reason = Array.from(text).slice(0, MAX_REASON).join('');
  return { status: 'FAILED', reason: reason || 'declined' };
}
