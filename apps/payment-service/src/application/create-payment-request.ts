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
    const { state, events } = requestPayment(placed, uuidv7(), this.clock.now());

    if (!(await this.requests.add(tx, state))) return false;
    await this.outbox.add(tx, aggregateOf(state), events);
    return true;
  }
}
