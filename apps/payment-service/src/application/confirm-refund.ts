import { setTimeout } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Clock, reject } from '@twinbox/kernel';
import { Jobs } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { type PaymentDecision, type PaymentRequest } from '../domain/payment-request.js';
import { confirmRefund } from '../domain/refund.js';
import { PaymentGateway } from './payment-gateway.js';
import { refundJobId } from './payment-jobs.js';
import { type PaymentCommand, PaymentJournal } from './payment-journal.js';

const MAX_CHECKS = 10;
const CHECK_INTERVAL_MS = 50;

/** Records a refund that an operator made by hand because the gateway did not. A job that is left over finds nothing to do. */
@Injectable()
export class ConfirmRefund {
  constructor(
    private readonly journal: PaymentJournal,
    private readonly jobs: Jobs,
    private readonly gateway: PaymentGateway,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, command: PaymentCommand): Promise<PaymentDecision> {
    const { paymentRequestId, actor } = command;
    return this.journal.run(tx, command, async (request) => {
      // A process making the refund now would not learn of this one, and the customer would be refunded twice.
      if (await this.isBeingRefunded(tx, request))
        return reject({ code: 'refund-under-way', paymentRequestId, gateway: request.gateway });
      return confirmRefund(request, actor, this.clock.now());
    });
  }

  /**
   * Whether the gateway may still make the refund, as far as this process can tell. For the gateway in use, that is until its job is done
   * or given up. For another one, it is while a process that still uses it is making the call. When false, no call begins before `tx` ends.
   */
  private async isBeingRefunded(tx: EntityManager, { id, status, gateway }: PaymentRequest): Promise<boolean> {
    if (status !== 'REFUND_PENDING') return false;
    const jobId = refundJobId(id);
    if (gateway === this.gateway.name) return this.jobs.isWaiting(tx, jobId);
    for (let checks = 1; await this.jobs.isRunning(tx, jobId); checks++) {
      // A process with the wrong gateway also takes the job for a moment, only to fail it.
      if (checks === MAX_CHECKS) return true;
      await setTimeout(CHECK_INTERVAL_MS);
    }
    return false;
  }
}
