import { Injectable } from '@nestjs/common';
import { type PaymentEvent } from '@twinbox/contracts';
import { Clock, reject, versionConflictOf, type VersionPrecondition } from '@twinbox/kernel';
import { type AggregateRef, Jobs, Outbox } from '@twinbox/messaging';
import { allDone } from '@twinbox/messaging/transactions';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import {
  type AcceptedPayment,
  isPublished,
  type MessageIgnored,
  type PaymentChange,
  type PaymentDecision,
  type PaymentRequest,
} from '../domain/payment-request.js';
import { CHARGE, type PaymentJob, REFUND, refundJobId } from './payment-jobs.js';
import { type Inserted, PaymentRequestStore, type Step, type StepDetail } from './payment-request-store.js';

export interface Origin {
  /** `customer:<user>`, `operator:<user>`, `admin:<user>`, `gateway`, `provider`, `system`, or the name of a service. */
  readonly actor: string;
  /** An HTTP route such as `POST /webhooks/payments`, the type of the received message, or the name of background work. */
  readonly cause: string;
  /** The received message, if one caused it. */
  readonly messageId?: string | null;
}

export interface PaymentCommand {
  readonly paymentRequestId: string;
  /** `operator:<user>` or `admin:<user>`. */
  readonly actor: string;
  readonly cause: string;
  readonly precondition: VersionPrecondition;
}

export interface DecidedChange {
  readonly decision: AcceptedPayment;
  readonly origin: Origin;
}

/** Writes a rule's decision in the caller's transaction: state, timeline, messages to publish, and calls to the gateway. */
@Injectable()
export class PaymentJournal {
  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly outbox: Outbox,
    private readonly jobs: Jobs,
    private readonly clock: Clock,
  ) {}

  /** Runs an operator's command: locks the request, checks the precondition, decides, and records. */
  async run(
    tx: EntityManager,
    { paymentRequestId, actor, cause, precondition }: PaymentCommand,
    decide: (request: PaymentRequest) => PaymentDecision | Promise<PaymentDecision>,
  ): Promise<PaymentDecision> {
    const request = await this.requests.lock(tx, paymentRequestId);
    if (!request) return reject({ code: 'payment-request-not-found', paymentRequestId });
    const conflict = versionConflictOf(precondition, request.version, request.updatedAt);
    if (conflict) return conflict;

    const decision = await decide(request);
    if (decision.accepted) await this.record(tx, decision, { actor, cause });
    return decision;
  }

  /** Adds a request, and its charge if `charge` is set and the order is not cancelled. Undefined when the order already has a request. */
  async open(
    tx: EntityManager,
    decision: AcceptedPayment,
    origin: Origin,
    { charge }: { readonly charge: boolean },
  ): Promise<Inserted | undefined> {
    const { state, steps, messages } = entriesOf({ decision, origin });
    const inserted = await this.requests.insert(tx, state, steps);
    if (!inserted) return undefined;
    await allDone([
      this.outbox.add(tx, aggregateOf(state), messages),
      ...(charge && !inserted.orderCancelled ? [this.charge(tx, state)] : []),
    ]);
    return inserted;
  }

  async record(tx: EntityManager, decision: AcceptedPayment, origin: Origin): Promise<void> {
    await this.recordAll(tx, [{ decision, origin }]);
  }

  /** Writes many decisions together. Those without a step change nothing. */
  async recordAll(tx: EntityManager, decided: readonly DecidedChange[]): Promise<void> {
    const changes = decided.filter(({ decision }) => decision.steps.length > 0).map(entriesOf);
    if (changes.length === 0) return;
    await allDone([
      // Insertion order is commit order within an order, because its request is locked (P3).
      ...changes.map(({ state, messages }) => this.outbox.add(tx, aggregateOf(state), messages)),
      this.requests.save(tx, changes),
    ]);

    const refunds = changes.filter(({ state }) => state.status === 'REFUND_PENDING');
    await this.jobs.addAll(
      tx,
      REFUND,
      refunds.map(({ state }) => ({ id: refundJobId(state.id), aggregateId: state.orderId, data: jobOf(state) })),
    );
  }

  /** Has the gateway charge the request, after the commit and until the result is known. */
  private async charge(tx: EntityManager, request: PaymentRequest): Promise<void> {
    await this.jobs.add(tx, CHARGE, jobOf(request), { id: request.id, aggregateId: request.orderId });
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
    detail: StepDetail | null,
    { actor, cause, messageId = null }: Origin,
  ): Promise<void> {
    const { status, version } = 'status' in subject ? subject : { status: null, version: null };
    const step = { type, status, version, at: this.clock.now(), actor, cause, messageId, detail };
    await this.requests.note(tx, subject.orderId, step);
  }
}

/** Messages belong to the order, so that everything about one order has the same key on every topic. */
function aggregateOf({ orderId, version }: PaymentRequest): AggregateRef {
  return { aggregateType: 'payment', aggregateId: orderId, version };
}

function jobOf({ id, gateway }: PaymentRequest): PaymentJob {
  return { paymentRequestId: id, gateway };
}

/** Returns the steps and the messages of a decision. The ids of the messages are assigned here, because the steps refer to them. */
function entriesOf({ decision, origin: { actor, cause, messageId: receivedId = null } }: DecidedChange) {
  const messages: (PaymentEvent & { readonly id: string })[] = [];
  const steps = decision.steps.map(({ event, state: { status, version, updatedAt: at } }): Step => {
    let messageId = receivedId;
    if (isPublished(event)) {
      const id = uuidv7();
      messages.push({ ...event, id });
      messageId ??= id;
    }
    return { type: event.type, status, version, at, actor, cause, messageId, detail: detailOf(event) };
  });
  return { state: decision.state, steps, messages };
}

function detailOf({ data }: PaymentChange): StepDetail | null {
  if ('reason' in data) return { reason: data.reason };
  return 'expiresAt' in data && data.expiresAt !== undefined ? { expiresAt: data.expiresAt } : null;
}
