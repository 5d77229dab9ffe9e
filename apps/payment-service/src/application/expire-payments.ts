import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { expirePayment } from '../domain/payment-rules.js';
import { PaymentJournal } from './payment-journal.js';
import { PaymentRequestStore } from './payment-request-store.js';

/** Requests whose time is over fail. Any number of processes may do so at the same time: each request fails once. */
@Injectable()
export class ExpirePayments {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly journal: PaymentJournal,
    private readonly clock: Clock,
  ) {}

  /** Fails up to `limit` of them, and tells how many. */
  async execute(tx: EntityManager, limit: number): Promise<number> {
    const at = this.clock.now();
    const due = await this.requests.lockExpired(tx, at, limit);
    if (due.length === 0) return 0;
    const origin = { actor: 'system', cause: 'expiry', messageId: null };
    await this.journal.recordAll(
      tx,
      due.map((request) => ({ decision: expirePayment(request, at), origin })),
    );
    return due.length;
  }
}
