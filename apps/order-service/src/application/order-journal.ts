import { Injectable } from '@nestjs/common';
import { type Accepted, reject, type Rejected, versionConflictOf, type VersionPrecondition } from '@twinbox/kernel';
import { allDone, Outbox } from '@twinbox/messaging';
import { type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import {
  type Order,
  type OrderChange,
  type OrderDecision,
  type OrderHead,
  type OrderRejection,
} from '../domain/order.js';
import { aggregateOf } from './order-aggregate.js';
import { OrderStore } from './order-store.js';
import { isPublished, type Origin, stepsOf } from './order-timeline.js';

export interface Requester {
  readonly userId: string;
  readonly isOperator: boolean;
}

export interface OrderCommand extends Origin {
  readonly orderId: string;
  readonly by: Requester;
  readonly precondition: VersionPrecondition;
  /** The item that the command changes or removes, if any. */
  readonly productId?: string;
}

/** Who may issue the command. A cart belongs to its customer alone, and only operators know whether an order is finished. */
export type Allowed = 'owner' | 'owner-or-operator' | 'operator';

export type OrderOwner = Pick<OrderHead, 'customerId'>;

/** Another customer's order is reported as not found, so that its existence is not revealed. */
export function isVisible<Owned extends OrderOwner>(order: Owned | undefined, by: Requester): order is Owned {
  return order !== undefined && (order.customerId === by.userId || by.isOperator);
}

/** Runs every command to an order: locks it, checks the requester and the precondition, decides, and saves. */
@Injectable()
export class OrderCommands {
  constructor(
    private readonly orders: OrderStore,
    private readonly outbox: Outbox,
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
    await this.save(tx, order, decision, command);
    return decision;
  }

  /** Saves the order without its items, the steps and the messages. */
  async save(
    tx: EntityManager,
    before: OrderHead,
    decision: Accepted<OrderHead, OrderChange>,
    origin: Origin,
  ): Promise<void> {
    const { state, events } = decision;
    if (events.length === 0) return;
    const messages = messagesOf(events);
    const steps = stepsOf(before.status, decision, origin, idsOf(messages));
    await allDone([this.outbox.add(tx, aggregateOf(state), messages), this.orders.save(tx, state, steps)]);
  }

  /** Saves a new order, with its items. */
  async add(tx: EntityManager, decision: Accepted<Order, OrderChange>, origin: Origin): Promise<void> {
    const { state, events } = decision;
    const messages = messagesOf(events);
    const steps = stepsOf('DRAFT', decision, origin, idsOf(messages));
    await allDone([this.outbox.add(tx, aggregateOf(state), messages), this.orders.add(tx, state, steps)]);
  }
}

/** Assigns the ids here, because the steps refer to them. */
function messagesOf(events: readonly OrderChange[]) {
  return events.filter(isPublished).map((event) => ({ ...event, id: uuidv7() }));
}

function idsOf(messages: ReturnType<typeof messagesOf>): string[] {
  return messages.map(({ id }) => id);
}

function rejectionOf(
  order: Order,
  { orderId, by, precondition, productId }: OrderCommand,
  allowed: Allowed,
): Rejected<OrderRejection> | undefined {
  if (!isVisible(order, by)) return reject({ code: 'order-not-found', orderId });
  if (allowed === 'owner' && order.customerId !== by.userId) return reject({ code: 'order-not-yours', orderId });
  if (allowed === 'operator' && !by.isOperator) return reject({ code: 'operator-required', orderId });
  // RFC 9110, section 13.2.1: an item that does not exist is a 404, whatever the precondition. The rule rejects it.
  const isThere = productId === undefined || order.items.some((item) => item.productId === productId);
  return isThere ? versionConflictOf(precondition, order.version, order.updatedAt) : undefined;
}
