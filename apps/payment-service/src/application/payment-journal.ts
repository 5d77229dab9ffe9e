import { setTimeout } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Clock } from '@twinbox/kernel';
import { type AggregateRef, allDone, Jobs, Outbox } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import {
  type AcceptedPayment,
  isPublished,
  type MessageIgnored,
  type PaymentChange,
  type PaymentRequest,
} from '../domain/payment-request.js';
import { CHARGE, type PaymentJob, REFUND, refundJobId } from './payment-jobs.js';
import { PaymentRequestStore } from './payment-request-store.js';
import { type Origin, PaymentTimeline, type TimelineDetail, type TimelineStep } from './payment-timeline.js';

const MAX_CHECKS = 10;
const CHECK_INTERVAL_MS = 50;

export interface DecidedChange {
  readonly decision: AcceptedPayment;
  readonly origin: Origin;
}

/** Writes a rule's decision in the caller's transaction: state, timeline, messages to publish, and calls to the gateway. */
@Injectable()
export class PaymentJournal {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly timeline: PaymentTimeline,
    private readonly outbox: Outbox,
    private readonly jobs: Jobs,
    private readonly clock: Clock,
  ) {}

  /** Adds a request, and its charge if `charge` is set and the order is not cancelled. Undefined when the order already has a request. */
  async open(
    tx: EntityManager,
    decision: AcceptedPayment,
    origin: Origin,
    { charge }: { readonly charge: boolean },
  ) {
    const { state, events } = decision;
    const [step] = stepsOf(decision, origin);
    if (!step) throw new Error(`the decision on payment request ${state.id} has no step`);
    const opened = await this.requests.open(tx, state, step);
    if (!opened) return undefined;
    await allDone([
      this.outbox.add(tx, aggregateOf(state), events.filter(isPublished)),
      ...(charge && !opened.orderCancelled ? [this.charge(tx, state)] : []),
    ]);
    return opened;
  }

  async record(tx: EntityManager, decision: AcceptedPayment, origin: Origin): Promise<void> {
    await this.recordAll(tx, [{ decision, origin }]);
  }

  async recordAll(tx: EntityManager, decided: readonly DecidedChange[]): Promise<void> {
    if (decided.length === 0) return;
    const changes = decided.map(({ decision, origin }) => {
      const { state, events } = decision;
      const messages = events.filter(isPublished).map((event) => ({ ...event, id: uuidv7() }));
      const steps = stepsOf(
        decision,
        origin,
        messages.map(({ id }) => id),
      );
      return { state, messages, steps };
    });
    await allDone([
      // Insertion order is commit order within an order, because its request is locked (P3).
      ...changes.map(({ state, messages }) => this.outbox.add(tx, aggregateOf(state), messages)),
      this.requests.save(tx, changes),
    ]);

    const refunds = changes.filter(({ state }) => state.status === 'REFUND_PENDING');
    await this.jobs.addAll(
      tx,
      REFUND,
      refunds.map(({ state }) => ({ id: refundJobId(state.id), data: jobOf(state) })),
    );
  }

  /** Has the gateway charge the request, after the commit and until the result is known. */
  private async charge(tx: EntityManager, request: PaymentRequest): Promise<void> {
    await this.jobs.add(tx, CHARGE, jobOf(request), { id: request.id });
  }

  /**
   * Whether the gateway may still make the refund, as far as this process can tell. For the gateway in use, that is until its job is done
   * or given up. For another one, it is while a process that still uses it is making the call. When false, no call begins before `tx` ends.
   */
  async isBeingRefunded(tx: EntityManager, request: PaymentRequest, gatewayInUse: string): Promise<boolean> {
    if (request.status !== 'REFUND_PENDING') return false;
    const jobId = refundJobId(request.id);
    if (request.gateway === gatewayInUse) return this.jobs.isWaiting(tx, jobId);
    for (let checks = 1; await this.jobs.isRunning(tx, jobId); checks++) {
      // A process with the wrong gateway also takes the job for a moment, only to fail it.
      if (checks === MAX_CHECKS) return true;
      await setTimeout(CHECK_INTERVAL_MS);
    }
    return false;
  }

  async noteIgnored(
    tx: EntityManager,
    subject: PaymentRequest | { readonly orderId: string },
    { reason }: Pick<MessageIgnored, 'reason'>,
    received: Origin & { readonly type: string },
  ): Promise<void> {
    await this.note(tx, subject, 'MessagePassedOver', { type: received.type, reason }, received);
  }

  /** Notes a step that does not change the payment. */
  async note(
    tx: EntityManager,
    subject: PaymentRequest | { readonly orderId: string },
    type: string,
    detail: TimelineDetail | null,
    { actor, cause, messageId }: Origin,
  ): Promise<void> {
    const { status, version } = 'status' in subject ? subject : { status: null, version: null };
    const step = { type, status, version, at: this.clock.now(), actor, cause, messageId, detail };
    await this.timeline.note(tx, subject.orderId, step);
  }
}

/** Messages belong to the order, so that everything about one order has the same key on every topic. */
function aggregateOf({ orderId, version }: PaymentRequest): AggregateRef {
  return { aggregateType: 'payment', aggregateId: orderId, version };
}

function jobOf({ id, gateway }: PaymentRequest): PaymentJob {
  return { paymentRequestId: id, gateway };
}

function stepsOf(
  { state, events }: AcceptedPayment,
  { actor, cause, messageId }: Origin,
  published: readonly string[] = [],
): TimelineStep[] {
  const ids = published.values();
  return events.map((event) => {
    const publishedId = isPublished(event) ? (ids.next().value ?? null) : null;
    const { status, version, updatedAt: at } = state;
    return {
      type: event.type,
      status,
      version,
      at,
      actor,
      cause,
      messageId: messageId ?? publishedId,
      detail: detailOf(event),
    };
  });
}

function detailOf({ data }: PaymentChange): TimelineDetail | null {
  if ('reason' in data) return { reason: data.reason };
  return 'expiresAt' in data && data.expiresAt !== undefined ? { expiresAt: data.expiresAt } : null;
}
