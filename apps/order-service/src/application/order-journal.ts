import { Injectable } from '@nestjs/common';
import { ORDER_EVENTS, type OrderEvent, PAYMENT_EVENTS } from '@twinbox/contracts';
import { type Accepted, Clock, reject, versionConflictOf, type VersionPrecondition } from '@twinbox/kernel';
import { type AggregateRef, Outbox } from '@twinbox/messaging';
import { allDone } from '@twinbox/messaging/transactions';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type Order, type OrderChange, type OrderDecision, type OrderHead } from '../domain/order.js';
import { OrderStore, type Step } from './order-store.js';

export interface Requester {
  readonly userId: string;
  readonly isOperator: boolean;
}

export interface Origin {
  readonly actor: string;
  readonly cause: string;
  /** Set if the command comes from a received message. */
  readonly messageId?: string | null;
}

export interface OrderCommand extends Origin {
  readonly orderId: string;
  readonly by: Requester;
  readonly precondition: VersionPrecondition;
  readonly productId?: string;
}

/** Who may issue the command. A cart belongs to its customer alone, and only operators know whether an order is finished. */
export type Allowed = 'owner' | 'owner-or-operator' | 'operator';

export type OrderOwner = Pick<OrderHead, 'customerId'>;

/** Another customer's order is reported as not found, so that its existence is not revealed. */
export function isVisible<Owned extends OrderOwner>(order: Owned | undefined, by: Requester): order is Owned {
  return order !== undefined && (order.customerId === by.userId || by.isOperator);
}

/**
 * Writes decisions about orders (state, steps and messages) in the caller's transaction: `run` for a command on an existing order, `open` for
 * a new one, `record` for a locked one.
 */
@Injectable()
export class OrderJournal {
  constructor(
    private readonly orders: OrderStore,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  async run(
    tx: EntityManager,
    command: OrderCommand,
    allowed: Allowed,
    decide: (order: Order) => OrderDecision | Promise<OrderDecision>,
  ): Promise<OrderDecision> {
    const order = await this.orders.lock(tx, command.orderId);
    if (!order) return reject({ code: 'order-not-found', orderId: command.orderId });
    const rejected = rejectionOf(order, command, allowed);
    if (rejected) return rejected;

    const decision = await decide(order);
    if (!decision.accepted) return decision;

    if (decision.state.items !== order.items) await this.orders.saveItems(tx, order.id, decision.state.items);
    await this.record(tx, decision, command);
    return decision;
  }

  async open(tx: EntityManager, decision: Accepted<Order, OrderChange>, origin: Origin): Promise<void> {
    const { state, steps, messages } = entriesOf(decision, origin);
    await allDone([this.outbox.add(tx, aggregateOf(state), messages), this.orders.add(tx, state, steps)]);
  }

  /** Leaves the items as they are. */
  async record(tx: EntityManager, decision: Accepted<OrderHead, OrderChange>, origin: Origin): Promise<void> {
    if (decision.steps.length === 0) return;
    const { state, steps, messages } = entriesOf(decision, origin);
    await allDone([this.outbox.add(tx, aggregateOf(state), messages), this.orders.save(tx, state, steps)]);
  }

  async note(
    tx: EntityManager,
    order: OrderHead,
    type: string,
    detail: object | null,
    { actor, cause, messageId = null }: Origin,
  ): Promise<void> {
    const { status, version } = order;
    await this.orders.note(tx, order, { type, status, version, at: this.clock.now(), actor, cause, messageId, detail });
  }
}

/** Identifies an order in the outbox. Its id becomes the key of its messages. */
function aggregateOf({ id, version }: OrderHead): AggregateRef {
  return { aggregateType: 'order', aggregateId: id, version };
}

/** Returns the steps and the messages of a decision. The ids of the messages are assigned here, because the steps refer to them. */
export function entriesOf<O extends OrderHead>(
  decision: Accepted<O, OrderChange>,
  { actor, cause, messageId: receivedId = null }: Origin,
) {
  const messages: (OrderEvent & { readonly id: string })[] = [];
  const steps = decision.steps.map(({ event, state }): Step => {
    const { status, version, updatedAt: at } = state;
    let messageId = isReceived(event) ? receivedId : null;
    if (isPublished(event)) {
      messageId = uuidv7();
      messages.push({ ...event, id: messageId });
    }
    return { type: event.type, status, version, at, actor, cause, messageId, detail: detailOf(event) };
  });
  return { state: decision.state, steps, messages };
}

function isPublished(change: OrderChange): change is OrderEvent {
  return Object.hasOwn(ORDER_EVENTS.events, change.type);
}

function isReceived({ type }: OrderChange): boolean {
  return type === 'MessagePassedOver' || Object.hasOwn(PAYMENT_EVENTS.events, type);
}

function detailOf({ data }: OrderChange): object | null {
  const detail = Object.entries(data).filter(([name]) => !REDUNDANT_IN_DETAIL.has(name));
  return detail.length === 0 ? null : Object.fromEntries(detail);
}

const REDUNDANT_IN_DETAIL = new Set(['orderId', 'customerId', 'actor', 'items']);

function rejectionOf(
  order: Order,
  { orderId, by, precondition, productId }: OrderCommand,
  allowed: Allowed,
): OrderDecision | undefined {
  if (!isVisible(order, by)) return reject({ code: 'order-not-found', orderId });
  if (allowed === 'owner' && order.customerId !== by.userId) return reject({ code: 'order-not-yours', orderId });
  if (allowed === 'operator' && !by.isOperator) return reject({ code: 'operator-required', orderId });
  // RFC 9110, section 13.2.1: an item that does not exist is a 404, whatever the precondition. The rule rejects it.
  const isThere = productId === undefined || order.items.some((item) => item.productId === productId);
  return isThere ? versionConflictOf(precondition, order.version, order.updatedAt) : undefined;
}
