import { Injectable, Logger } from '@nestjs/common';
import { type Job, JobDead, JobHandler, type JobOptions } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { ChargePayment } from '../../application/charge-payment.js';
import { CHARGE, type PaymentJob, paymentJobFlaw, REFUND } from '../../application/payment-jobs.js';
import { PaymentJournal } from '../../application/payment-journal.js';
import { PaymentRequestStore } from '../../application/payment-request-store.js';
import { RefundPayment } from '../../application/refund-payment.js';

/**
 * Many calls run at once, because a call mostly waits for the gateway and holds no connection meanwhile. Only the gateway knows whether the
 * money moved, so a call is given up and left to an operator only after most of a day.
 */
const CALLS: JobOptions = { concurrency: 50, maxAttempts: 200, timeoutMs: 60_000, check: paymentJobFlaw };

@Injectable()
export class GatewayCalls {
  private readonly logger = new Logger('Payments');

  constructor(
    private readonly chargePayment: ChargePayment,
    private readonly refundPayment: RefundPayment,
    private readonly requests: PaymentRequestStore,
    private readonly journal: PaymentJournal,
  ) {}

  @JobHandler(CHARGE, CALLS)
  async charge({ data }: Job<PaymentJob>, signal: AbortSignal): Promise<void> {
    await this.chargePayment.execute(data, signal);
  }

  @JobHandler(REFUND, CALLS)
  async refund({ data }: Job<PaymentJob>, signal: AbortSignal): Promise<void> {
    await this.refundPayment.execute(data, signal);
  }

  @JobDead(CHARGE)
  async chargeGivenUp(tx: EntityManager, job: Job<PaymentJob>): Promise<void> {
    await this.givenUp(tx, job, 'ChargeGivenUp');
  }

  @JobDead(REFUND)
  async refundGivenUp(tx: EntityManager, job: Job<PaymentJob>): Promise<void> {
    await this.givenUp(tx, job, 'RefundGivenUp');
  }

  /** The payment stays as it is. An operator retries the dead job or settles the matter with the provider. */
  private async givenUp(tx: EntityManager, { id, queue, data }: Job<PaymentJob>, type: string): Promise<void> {
    const request = await this.requests.lock(tx, data.paymentRequestId);
    if (!request) return;
    this.logger.error(`${type}: gave up job ${id} for payment request ${request.id} of order ${request.orderId}.`);
    await this.journal.note(tx, request, type, { jobId: id }, { actor: 'system', cause: queue });
  }
}
