import { ORDER_EVENTS, type OrderEvent, PAYMENT_EVENTS } from '@twinbox/contracts';
import { type Accepted } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { evolve, type OrderChange, type OrderHead, type OrderStatus } from '../domain/order.js';

/** One line of an order's history: what happened, who did it, and what the order was afterwards. */
export interface Step {
  /** The change's name: `OrderPlaced`, `ItemAdded`, `PaymentRequested`, `MessagePassedOver`, … */
  readonly type: string;
  /** The order after the step. */
  readonly status: OrderStatus;
  readonly version: number;
  readonly at: Date;
  /** `customer:<user>`, `operator:<user>`, `gateway`, `provider`, `system`, or the name of the service that said so. */
  readonly actor: string;
  /** What led to it: the request as `POST /orders/:orderId/cancel`, or the type of the message that was heard. */
  readonly cause: string | null;
  /** The message that was heard, or the one that tells of the step. */
  readonly messageId: string | null;
  /** What else there is to say: a reason, a product and its quantity. */
  readonly detail: object | null;
}

/** Where a command comes from: who gave it, by which request or message. */
export interface Origin {
  readonly actor: string;
  readonly cause: string;
  /** The message that was heard, if it was one. */
  readonly messageId?: string | null;
}

/** The steps of every order, oldest first; none is ever changed. */
export abstract class OrderTimeline {
  /** Adds the steps in the caller's transaction, in one statement; whoever watches the order is told after the commit. */
  abstract record(
    tx: EntityManager,
    order: Pick<OrderHead, 'id' | 'customerId'>,
    steps: readonly Step[],
  ): Promise<void>;
}

/** Whether the change is told to other services, and not kept to the order's history. */
export function isPublished(change: OrderChange): change is OrderEvent {
  return Object.hasOwn(ORDER_EVENTS.events, change.type);
}

/**
 * A step for each change that made the order what it is, from the status before them. `published`: the ids of the messages of
 * those that are published.
 */
export function stepsOf(
  before: OrderStatus,
  { state, events }: Accepted<OrderHead, OrderChange>,
  { actor, cause, messageId: heardId = null }: Origin,
  published: readonly string[],
): Step[] {
  const at = state.updatedAt;
  const ids = published.values();
  let order: OrderHead = { ...state, status: before, version: state.version - events.length };
  return events.map((change) => {
    order = evolve(order, change, at);
    const { status, version } = order;
    const messageId = isPublished(change) ? (ids.next().value ?? null) : isHeard(change) ? heardId : null;
    return { type: change.type, status, version, at, actor, cause, messageId, detail: detailOf(change) };
  });
}

function isHeard({ type }: OrderChange): boolean {
  return type === 'MessagePassedOver' || Object.hasOwn(PAYMENT_EVENTS.events, type);
}

/** What the step does not say anyway. */
function detailOf({ data }: OrderChange): object | null {
  const detail = Object.entries(data).filter(([name]) => !SAID_BY_THE_STEP.has(name));
  return detail.length === 0 ? null : Object.fromEntries(detail);
}

const SAID_BY_THE_STEP = new Set(['orderId', 'customerId', 'actor']);
