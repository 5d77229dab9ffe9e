import { type OrderHead } from './order.js';

/** After a payment expires, the message about it may take a moment to arrive. */
export const PAYMENT_GRACE_MS = 60_000;

export function isLate(order: Pick<OrderHead, 'status' | 'dueAt'>, now: Date, lateAfterMs: number): boolean {
  if (order.dueAt === null) return false;
  const overdueMs = now.getTime() - order.dueAt.getTime();
  switch (order.status) {
    case 'PLACED':
      return overdueMs > lateAfterMs;
    case 'PAYMENT_PENDING':
      return overdueMs > PAYMENT_GRACE_MS;
    case 'DRAFT':
    case 'COMPLETED':
    case 'FINISHED':
    case 'CANCELLED':
      return false;
  }
}
