import { Injectable } from '@nestjs/common';
import { Clock, reject } from '@twinbox/kernel';
import { Outbox } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { decidePayment, type PaymentDecision, type PaymentResult } from '../domain/payment-request.js';
import { aggregateOf } from './payment-aggregate.js';
import { PaymentRequestStore } from './payment-request-store.js';

/** An operator gives the result of a payment. */
@Injectable()
export class DecidePayment {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  async execute(
    tx: EntityManager,
    paymentRequestId: string,
    result: PaymentResult,
    operator: string,
  ): Promise<PaymentDecision> {
    const request = await this.requests.lock(tx, paymentRequestId);
    if (!request) return reject({ code: 'payment-request-not-found', paymentRequestId });

    const decision = decidePayment(request, result, operator, this.clock.now());
    // No events: the same result again.
    if (!decision.accepted || decision.events.length === 0) return decision;

    await this.requests.save(tx, decision.state);
    await this.outbox.add(tx, aggregateOf(decision.state), decision.events);
    return decision;
  }
}
