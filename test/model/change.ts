import { type Message } from './memory.js';
import { type OrderLine, type OrderSide } from './order-side.js';
import { type PaymentLine, type PaymentTables } from './payment-tables.js';
import { type World } from './world.js';

/** The state before or after a move. */
export interface Snapshot {
  readonly orders: OrderSide['tables']['orders'];
  readonly requests: PaymentTables['requests'];
  readonly orderLines: readonly OrderLine[];
  readonly paymentLines: readonly PaymentLine[];
  readonly orderMessages: readonly Message[];
  readonly paymentMessages: readonly Message[];
  /** The ids of the messages that order-service and payment-service have received. */
  readonly receivedByOrders: readonly string[];
  readonly receivedByPayments: readonly string[];
}

/** The changes that a move made. `new…`: added by the move. */
export interface Change {
  readonly world: World;
  readonly before: Snapshot;
  readonly now: Snapshot;
  readonly newOrderLines: readonly OrderLine[];
  readonly newPaymentLines: readonly PaymentLine[];
  /** The reason why nothing must have changed, if there is one. */
  readonly noEffect: string | undefined;
  readonly tally: Tally;
}

/** Counts what has happened in all worlds together. */
export class Tally {
  readonly counts: Record<string, number> = {};

  add(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

export function snapshotOf({ orders, payments }: World): Snapshot {
  return {
    orders: new Map(orders.tables.orders),
    requests: new Map(payments.tables.requests),
    orderLines: [...orders.tables.timeline],
    paymentLines: [...payments.tables.timeline],
    orderMessages: [...orders.tables.messages],
    paymentMessages: [...payments.tables.messages],
    receivedByOrders: [...orders.tables.inbox],
    receivedByPayments: [...payments.tables.inbox],
  };
}

/** Names the step of a timeline entry. */
export function stepOf({ type, detail }: OrderLine | PaymentLine): string {
  return type === 'MessagePassedOver' ? `${(detail as { type: string }).type} ignored` : type;
}
