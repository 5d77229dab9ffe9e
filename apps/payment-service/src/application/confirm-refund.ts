import { Injectable } from '@nestjs/common';
import { Clock, reject, versionConflictOf } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type PaymentDecision } from '../domain/payment-request.js';
import { confirmRefund } from '../domain/refund.js';
import { type OperatorCommand } from './operator-command.js';
import { PaymentGateway } from './payment-gateway.js';
import { PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';

/** Records a refund that an operator made by hand because the gateway did not. A job that is left over finds nothing to do. */
@Injectable()
export class ConfirmRefund {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly journal: PaymentJournal,
    private readonly gateway: PaymentGateway,
    private readonly clock: Clock,
  ) {}

  async execute(
    tx: EntityManager,
    paymentRequestId: string,
    { operator, cause, precondition }: OperatorCommand,
  ): Promise<PaymentDecision> {
    const request = await this.requests.lock(tx, paymentRequestId);
    if (!request) return reject({ code: 'payment-request-not-found', paymentRequestId });
    const conflict = versionConflictOf(precondition, request.version, request.updatedAt);
    if (conflict) return conflict;

    // A process making the refund now would not learn of this one, and the customer would be refunded twice.
    if (await this.journal.isBeingRefunded(tx, request, this.gateway.name))
      return reject({ code: 'refund-under-way', paymentRequestId, gateway: request.gateway });
    const decision = confirmRefund(request, operator, this.clock.now());
    if (!decision.accepted || decision.events.length === 0) return decision;

    await this.journal.record(tx, decision, { actor: `operator:${operator}`, cause, messageId: null });
    return decision;
  }
}
