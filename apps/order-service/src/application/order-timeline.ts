import { ORDER_EVENTS, type OrderEvent, PAYMENT_EVENTS } from '@twinbox/contracts';
import { type Accepted } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { evolve, type OrderChange, type OrderHead, type OrderStatus } from '../domain/order.js';

export interface Step {
  /** Such as `OrderPlaced`, `ItemAdded`, `PaymentRequested` or `MessagePassedOver`. */
  readonly type: string;
  /** The status and version after the step. */
  readonly status: OrderStatus;
  readonly version: number;
  readonly at: Date;
  /** `customer:<user>`, `operator:<user>`, `gateway`, `provider`, `system`, or the name of the publishing service. */
  readonly actor: string;
  /** The request, such as `POST /orders/:orderId/cancel`, or the type of the received message. */
  readonly cause: string | null;
  /** The received message that caused the step, or the message published for it. */
  readonly messageId: string | null;
  /** Further details, such as a reason, or a product and its quantity. */
  readonly detail: object | null;
}

export interface Origin {
  readonly actor: string;
  readonly cause: string;
  /** Set if the command comes from a received message. */
  readonly messageId?: string | null;
}

/** The append-only history of orders. */
export abstract class OrderTimeline {
  /** Adds the steps in one statement of the caller's transaction, and notifies the live updates after the commit. */
  abstract record(
    tx: EntityManager,
    order: Pick<OrderHead, 'id' | 'customerId'>,
    steps: readonly Step[],
  ): Promise<void>;
}

export function isPublished(change: OrderChange): change is OrderEvent {
  return Object.hasOwn(ORDER_EVENTS.events, change.type);
}

/** Returns a step for each change of the decision. `published` are the ids of the messages of the published changes. */
export function stepsOf(
  before: OrderStatus,
  { state, events }: Accepted<OrderHead, OrderChange>,
  { actor, cause, messageId: receivedId = null }: Origin,
  published: readonly string[],
): Step[] {
  const at = state.updatedAt;
  const ids = published.values();
  let order: OrderHead = { ...state, status: before, version: state.version - events.length };
  return events.map((change) => {
    order = evolve(order, change, at);
    const { status, version } = order;
    const messageId = isPublished(change) ? (ids.next().value ?? null) : isReceived(change) ? receivedId : null;
    return { type: change.type, status, version, at, actor, cause, messageId, detail: detailOf(change) };
  });
}

function isReceived({ type }: OrderChange): boolean {
  return type === 'MessagePassedOver' || Object.hasOwn(PAYMENT_EVENTS.events, type);
}

function detailOf({ data }: OrderChange): object | null {
  const detail = Object.entries(data).filter(([name]) => !REDUNDANT_IN_DETAIL.has(name));
  return detail.length === 0 ? null : Object.fromEntries(detail);
}

const REDUNDANT_IN_DETAIL = new Set(['orderId', 'customerId', 'actor']);
