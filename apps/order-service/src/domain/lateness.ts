import { type OrderHead } from './order.js';

/** So long after its time to live a payment may still be on its way: the message of its end takes a moment. */
export const PAYMENT_GRACE_MS = 60_000;

/** PLACED longer than `lateAfterMs`, or PAYMENT_PENDING for more than a minute past the payment's time to live. */
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
