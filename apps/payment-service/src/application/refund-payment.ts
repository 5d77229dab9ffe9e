import { Inject, Injectable } from '@nestjs/common';
import { MESSAGING_DATA_SOURCE } from '@twinbox/api-kit';
import { Clock } from '@twinbox/kernel';
import { PermanentError } from '@twinbox/messaging';
import { DataSource, type EntityManager } from 'typeorm';
import { bookRefund } from '../domain/refund.js';
import { PaymentGateway } from './payment-gateway.js';
import { type PaymentJob, REFUND, assertGatewayInUse } from './payment-jobs.js';
import { PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';

/** Refunds a payment through the gateway, outside of any transaction, and records it. */
@Injectable()
export class RefundPayment {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly gateway: PaymentGateway,
    private readonly journal: PaymentJournal,
    private readonly clock: Clock,
    @Inject(MESSAGING_DATA_SOURCE) private readonly dataSource: DataSource,
  ) {}

  /** Safe to retry and to run concurrently, because the key stays the same. Throws when the outcome is unknown. */
  async execute(job: PaymentJob, signal: AbortSignal): Promise<void> {
    const { paymentRequestId } = job;
    const request = await this.requests.find(paymentRequestId);
    if (request?.status === 'REFUNDED') return;
    // Checked before the call, because money must not go back unless a refund is due.
    if (request?.status !== 'REFUND_PENDING')
      throw new PermanentError(
        `no refund is due: payment request ${paymentRequestId} is ${request?.status ?? 'unknown'}`,
      );

    assertGatewayInUse(job, this.gateway.name);
    await this.gateway.refund(request, `${paymentRequestId}-refund`, signal);
    await this.dataSource.transaction((tx) => this.book(tx, paymentRequestId));
  }

  private async book(tx: EntityManager, paymentRequestId: string): Promise<void> {
    const request = await this.requests.lock(tx, paymentRequestId);
    if (!request) throw new PermanentError(`there is no payment request ${paymentRequestId}`);
    // A manual gateway confirms nothing: the refund is recorded, and an operator has to send the money.
    const actor = this.gateway.automatic ? 'gateway' : 'system';
    const decision = bookRefund(request, actor, this.clock.now());
    if (!decision.accepted) throw new PermanentError(decision.rejection.reason);
    await this.journal.record(tx, decision, { actor, cause: REFUND });
  }
}
