import { type Order, type OrderEvent } from '@twinbox/client/orders';

/** The part of an event that is shown. */
export type ShownStep = Pick<OrderEvent, 'position' | 'type' | 'status' | 'version' | 'at' | 'actor' | 'detail'>;

/** Adds steps to those that are shown. A step that has arrived already, by a page of the timeline or by the stream, is not shown again. */
export function withSteps(shown: readonly ShownStep[], arrived: readonly ShownStep[]): readonly ShownStep[] {
  const known = new Set(shown.map(({ position }) => position));
  const further = arrived.filter(({ position }) => !known.has(position) && known.add(position));
  if (further.length === 0) return shown;
  return [...shown, ...further].toSorted((a, b) => a.position - b.position);
}

/** One station of an order on its way. */
export interface Station {
  readonly label: string;
  readonly state: 'done' | 'current' | 'ahead' | 'failed';
}

const WAY: readonly (readonly [status: Order['status'], label: string])[] = [
  ['PLACED', 'Placed'],
  ['PAYMENT_PENDING', 'Waiting for payment'],
  ['COMPLETED', 'Paid'],
  ['FINISHED', 'Delivered'],
];

/** The way of an order: where it has been, where it is, and what comes next. A cancelled order ends where it was cancelled. */
export function stationsOf(status: Order['status'], steps: readonly Pick<ShownStep, 'status'>[]): readonly Station[] {
  const reached = (of: Order['status']) => WAY.findIndex(([one]) => one === of);
  if (status !== 'CANCELLED') {
    const at = reached(status);
    return WAY.map(([, label], n) => ({ label, state: n < at ? 'done' : n === at ? 'current' : 'ahead' }));
  }
  const furthest = Math.max(-1, ...steps.map((step) => reached(step.status)));
  return [
    ...WAY.slice(0, furthest + 1).map(([, label]): Station => ({ label, state: 'done' })),
    { label: 'Cancelled', state: 'failed' },
  ];
}

/** Whether the customer can still cancel it. The service decides; this avoids offering what it would refuse. */
export const isCancellable = (status: Order['status']): boolean =>
  status === 'DRAFT' || status === 'PLACED' || status === 'PAYMENT_PENDING';
