import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { decidePayment, type PaymentDecision, type PaymentResult } from '../domain/payment-request.js';
import { type PaymentCommand, PaymentJournal } from './payment-journal.js';

@Injectable()
export class DecidePayment {
  constructor(
    private readonly journal: PaymentJournal,
    private readonly clock: Clock,
  ) {}

  async execute(tx: EntityManager, command: PaymentCommand, result: PaymentResult): Promise<PaymentDecision> {
    return this.journal.run(tx, command, (request) => decidePayment(request, result, command.actor, this.clock.now()));
  }
}
