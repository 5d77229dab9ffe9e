import { setTimeout } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { type Accepted, Clock } from '@twinbox/kernel';
import { type AggregateRef, allDone, Jobs, Outbox } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { isPublished, type PaymentRequest, type PaymentStep } from '../domain/payment-request.js';
import { type PassedOver } from '../domain/payment-rules.js';
import { CHARGE, type PaymentJob, REFUND, refundJobId } from './payment-jobs.js';
import { PaymentRequestStore } from './payment-request-store.js';
import { type Origin, PaymentTimeline, type TimelineDetail, type TimelineStep } from './payment-timeline.js';

/** How often, and after how many milliseconds, a refund job is looked at that seems to be running. */
const LOOKS = 10;
const LOOK_AGAIN_MS = 50;

/** What a rule decided of a locked request, and what led to it. */
export interface DecidedChange {
  readonly decision: Accepted<PaymentRequest, PaymentStep>;
  readonly origin: Origin;
}

/** Carries what a rule decided into the caller's transaction: state and timeline, what is published, and the calls it leads to. */
@Injectable()
export class PaymentJournal {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly timeline: PaymentTimeline,
    private readonly outbox: Outbox,
    private readonly jobs: Jobs,
    private readonly clock: Clock,
  ) {}

  /**
   * A new request; undefined when its order has one already. Its step tells the message that led to it. With `charge` it is charged
   * by the gateway, unless its order is cancelled.
   */
  async open(
    tx: EntityManager,
    decision: Accepted<PaymentRequest, PaymentStep>,
    origin: Origin,
    { charge }: { readonly charge: boolean },
  ) {
    const { state, events } = decision;
    const [step] = stepsOf(decision, origin);
    if (!step) throw new Error(`payment request ${state.id} was decided without a step`);
    const opened = await this.requests.open(tx, state, step);
    if (!opened) return undefined;
    // Sent together.
    await allDone([
      this.outbox.add(tx, aggregateOf(state), events.filter(isPublished)),
      ...(charge && !opened.orderCancelled ? [this.charge(tx, state)] : []),
    ]);
    return opened;
  }

  /** A locked request has changed. */
  async record(tx: EntityManager, decision: Accepted<PaymentRequest, PaymentStep>, origin: Origin): Promise<void> {
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
      // Insertion order is commit order within an order, for its request is locked (P3).
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

  /** The request is charged by the gateway, after the commit and until the result is known. */
  private async charge(tx: EntityManager, request: PaymentRequest): Promise<void> {
    await this.jobs.add(tx, CHARGE, jobOf(request), { id: request.id });
  }

  /**
   * Whether the gateway may still give the money back, as far as this process can tell. The gateway in use: its job is neither done
   * nor given up. Another one: a process that still runs with it is making the call. If not, none begins before `tx` ends.
   */
  async isBeingRefunded(tx: EntityManager, request: PaymentRequest, gatewayInUse: string): Promise<boolean> {
    if (request.status !== 'REFUND_PENDING') return false;
    const jobId = refundJobId(request.id);
    if (request.gateway === gatewayInUse) return this.jobs.isWaiting(tx, jobId);
    for (let looks = 1; await this.jobs.isRunning(tx, jobId); looks++) {
      // A process with the wrong gateway has the job for a moment as well, only to refuse it.
      if (looks === LOOKS) return true;
      await setTimeout(LOOK_AGAIN_MS);
    }
    return false;
  }

  /** What was heard changes nothing, and is not forgotten. */
  async passOver(
    tx: EntityManager,
    subject: PaymentRequest | { readonly orderId: string },
    { reason }: Pick<PassedOver, 'reason'>,
    heard: Origin & { readonly type: string },
  ): Promise<void> {
    await this.note(tx, subject, 'MessagePassedOver', { type: heard.type, reason }, heard);
  }

  /** Something happened that changes nothing of the payment. */
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

/** How the outbox knows a payment: by its order, so that all that concerns one order shares one key on every topic. */
function aggregateOf({ orderId, version }: PaymentRequest): AggregateRef {
  return { aggregateType: 'payment', aggregateId: orderId, version };
}

function jobOf({ id, gateway }: PaymentRequest): PaymentJob {
  return { paymentRequestId: id, gateway };
}

function stepsOf(
  { state, events }: Accepted<PaymentRequest, PaymentStep>,
  { actor, cause, messageId }: Origin,
  published: readonly string[] = [],
): TimelineStep[] {
  const ids = published.values();
  return events.map((event) => {
    const told = isPublished(event) ? (ids.next().value ?? null) : null;
    const { status, version, updatedAt: at } = state;
    return {
      type: event.type,
      status,
      version,
      at,
      actor,
      cause,
      messageId: messageId ?? told,
      detail: detailOf(event),
    };
  });
}

function detailOf({ data }: PaymentStep): TimelineDetail | null {
  if ('reason' in data) return { reason: data.reason };
  return 'expiresAt' in data && data.expiresAt !== undefined ? { expiresAt: data.expiresAt } : null;
}
