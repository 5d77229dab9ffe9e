import { Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { expirePayment } from '../domain/payment-rules.js';
import { PaymentJournal } from './payment-journal.js';
import { type Due, type Expired, PaymentRequestStore } from './payment-request-store.js';

/** Requests whose time is over, by the database's clock, fail. Any number of processes may do so at the same time: each request fails once. */
@Injectable()
export class ExpirePayments {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly journal: PaymentJournal,
  ) {}

  /** Fails up to `limit` of them, and tells how many. */
  async execute(tx: EntityManager, limit: number): Promise<number> {
    return this.fail(tx, await this.requests.lockExpired(tx, limit));
  }

  /** Up to `limit` whose time is over, the longest first, from behind `after` on. */
  async due(limit: number, after: Expired | undefined): Promise<Expired[]> {
    return this.requests.findExpired(limit, after);
  }

  /** Fails this one, if its time is over and nobody else has it in hand; tells whether it did. */
  async executeOne(tx: EntityManager, paymentRequestId: string): Promise<boolean> {
    const due = await this.requests.lockIfExpired(tx, paymentRequestId);
    return due !== undefined && (await this.fail(tx, [due])) > 0;
  }

  private async fail(tx: EntityManager, locked: readonly Due[]): Promise<number> {
    const origin = { actor: 'system', cause: 'expiry', messageId: null };
    const changes = locked
      .map(({ request, now }) => ({ decision: expirePayment(request, now), origin }))
      .filter(({ decision }) => decision.events.length > 0);
    await this.journal.recordAll(tx, changes);
    return changes.length;
  }
}
