import { Injectable } from '@nestjs/common';
import { type OrderPlaced } from '@twinbox/contracts';
import { Clock } from '@twinbox/kernel';
import { Outbox } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { requestPayment } from '../domain/payment-request.js';
import { aggregateOf } from './payment-aggregate.js';
import { PaymentRequestStore } from './payment-request-store.js';

@Injectable()
export class CreatePaymentRequest {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  /** False when the order has its request already, by another message than this one: nothing changes. */
  async execute(tx: EntityManager, placed: OrderPlaced): Promise<boolean> {
    const decision = requestPayment(placed, uuidv7(), this.clock.now());
    if (!decision.accepted) throw new Error(`A payment cannot be requested: ${decision.rejection.code}`);

    if (!(await this.requests.add(tx, decision.state))) return false;
    await this.outbox.add(tx, aggregateOf(decision.state), decision.events);
    return true;
  }
}
