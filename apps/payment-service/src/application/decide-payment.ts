import { Injectable } from '@nestjs/common';
import { Clock, reject, versionConflictOf } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { decidePayment, type PaymentDecision, type PaymentResult } from '../domain/payment-request.js';
import { type OperatorCommand } from './operator-command.js';
import { PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';

@Injectable()
export class DecidePayment {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly journal: PaymentJournal,
    private readonly clock: Clock,
  ) {}

  async execute(
    tx: EntityManager,
    paymentRequestId: string,
    result: PaymentResult,
    { operator, cause, precondition }: OperatorCommand,
  ): Promise<PaymentDecision> {
    const request = await this.requests.lock(tx, paymentRequestId);
    if (!request) return reject({ code: 'payment-request-not-found', paymentRequestId });
    const conflict = versionConflictOf(precondition, request.version, request.updatedAt);
    if (conflict) return conflict;

    const decision = decidePayment(request, result, operator, this.clock.now());
    if (!decision.accepted || decision.events.length === 0) return decision;

    await this.journal.record(tx, decision, { actor: `operator:${operator}`, cause, messageId: null });
    return decision;
  }
}
