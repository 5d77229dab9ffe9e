import { type Message } from './memory.js';
import { type OrderLine, type OrderSide } from './order-side.js';
import { type PaymentLine, type PaymentSide } from './payment-side.js';
import { type World } from './world.js';

/** What there was, before or after a move. */
export interface Sight {
  readonly orders: OrderSide['tables']['orders'];
  readonly requests: PaymentSide['tables']['requests'];
  readonly orderLines: readonly OrderLine[];
  readonly paymentLines: readonly PaymentLine[];
  readonly orderMessages: readonly Message[];
  readonly paymentMessages: readonly Message[];
  /** The ids of what order-service has heard, and payment-service. */
  readonly heardOfPayments: readonly string[];
  readonly heardOfOrders: readonly string[];
}

/** What a move has changed. `new…`: what was not there before it. */
export interface Change {
  readonly world: World;
  readonly before: Sight;
  readonly now: Sight;
  readonly newOrderLines: readonly OrderLine[];
  readonly newPaymentLines: readonly PaymentLine[];
  /** Why nothing must have changed, if so. */
  readonly inVain: string | undefined;
  readonly tally: Tally;
}

/** How often what has happened, in all worlds together. */
export class Tally {
  readonly counts: Record<string, number> = {};

  add(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

export function sightOf({ orders, payments }: World): Sight {
  return {
    orders: new Map(orders.tables.orders),
    requests: new Map(payments.tables.requests),
    orderLines: [...orders.tables.timeline],
    paymentLines: [...payments.tables.timeline],
    orderMessages: [...orders.tables.messages],
    paymentMessages: [...payments.tables.messages],
    heardOfPayments: [...orders.tables.inbox],
    heardOfOrders: [...payments.tables.inbox],
  };
}

/** What a line of a timeline tells of. */
export function stepOf({ type, detail }: OrderLine | PaymentLine): string {
  return type === 'MessagePassedOver' ? `${(detail as { type: string }).type} passed over` : type;
}
