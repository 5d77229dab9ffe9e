import { Inject, Injectable } from '@nestjs/common';
import { MESSAGING_DATA_SOURCE } from '@twinbox/api-kit';
import { Clock } from '@twinbox/kernel';
import { PermanentError } from '@twinbox/messaging';
import { DataSource, type EntityManager } from 'typeorm';
import { bookRefund } from '../domain/payment-rules.js';
import { PaymentGateway } from './payment-gateway.js';
import { type PaymentJob, REFUND, refuseAnotherGateways } from './payment-jobs.js';
import { PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';

/** Has the gateway give the money back, outside of any transaction, and books it. */
@Injectable()
export class RefundPayment {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly gateway: PaymentGateway,
    private readonly journal: PaymentJournal,
    private readonly clock: Clock,
    @Inject(MESSAGING_DATA_SOURCE) private readonly dataSource: DataSource,
  ) {}

  /** May be run again and beside itself, for the key is the same. Throws when the outcome is not known. */
  async execute(job: PaymentJob, signal: AbortSignal): Promise<void> {
    const { paymentRequestId } = job;
    const request = await this.requests.find(paymentRequestId);
    if (request?.status === 'REFUNDED') return;
    // Before the call: money that is not to go back must not.
    if (request?.status !== 'REFUND_PENDING')
      throw new PermanentError(
        `payment request ${paymentRequestId} is ${request?.status ?? 'unknown'}: no refund is due`,
      );

    refuseAnotherGateways(job, this.gateway.name);
    await this.gateway.refund(request, `${paymentRequestId}-refund`, signal);
    await this.dataSource.transaction((tx) => this.book(tx, paymentRequestId));
  }

  private async book(tx: EntityManager, paymentRequestId: string): Promise<void> {
    const request = await this.requests.lock(tx, paymentRequestId);
    if (!request) throw new PermanentError(`there is no payment request ${paymentRequestId}`);
    // A gateway that no machine is behind has said nothing: it is booked for somebody to send the money.
    const actor = this.gateway.automatic ? 'gateway' : 'system';
    const decision = bookRefund(request, actor, this.clock.now());
    if (!decision.accepted) throw new PermanentError(decision.rejection.reason);
    if (decision.events.length === 0) return;
    await this.journal.record(tx, decision, { actor, cause: REFUND, messageId: null });
  }
}
