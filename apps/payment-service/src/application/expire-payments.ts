import { Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { expirePayment } from '../domain/payment-request.js';
import { PaymentJournal } from './payment-journal.js';
import { type Due, type Expired, PaymentRequestStore } from './payment-request-store.js';

/** Fails requests that have expired by the database's clock. Any number of processes may run it: each request fails once. */
@Injectable()
export class ExpirePayments {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly journal: PaymentJournal,
  ) {}

  /** Fails up to `limit` expired requests and returns how many. */
  async execute(tx: EntityManager, limit: number): Promise<number> {
    return this.fail(tx, await this.requests.lockExpired(tx, limit));
  }

  /** Returns up to `limit` expired requests after `after`, longest overdue first. */
  async due(limit: number, after: Expired | undefined): Promise<Expired[]> {
    return this.requests.findExpired(limit, after);
  }

  /** Fails the request if it has expired and no other transaction has locked it. Returns whether it did. */
  async executeOne(tx: EntityManager, paymentRequestId: string): Promise<boolean> {
    const due = await this.requests.lockIfExpired(tx, paymentRequestId);
    return due !== undefined && (await this.fail(tx, [due])) > 0;
  }

  private async fail(tx: EntityManager, locked: readonly Due[]): Promise<number> {
    const origin = { actor: 'system', cause: 'expiry' };
    const changes = locked
      .map(({ request, now }) => ({ decision: expirePayment(request, now), origin }))
      .filter(({ decision }) => decision.steps.length > 0);
    await this.journal.recordAll(tx, changes);
    return changes.length;
  }
}
