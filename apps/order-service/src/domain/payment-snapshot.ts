import { type PaymentEvent, type PaymentRequested } from '@twinbox/contracts';

export const PAYMENT_STATUSES = ['PENDING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'REFUNDED'] as const;

/** The order's payment as order-service last heard of it. */
export interface PaymentSnapshot {
  readonly paymentRequestId: string;
  readonly status: (typeof PAYMENT_STATUSES)[number];
  /** Why it failed, was cancelled or refunded. */
  readonly reason: string | null;
}

/** What the message says of the payment. */
export function paymentOf(heard: PaymentEvent): PaymentSnapshot {
  const { paymentRequestId } = heard.data;
  const reason = 'reason' in heard.data ? heard.data.reason : null;
  return { paymentRequestId, status: statusAfter[heard.type], reason };
}

const statusAfter = {
  PaymentRequested: 'PENDING',
  PaymentSucceeded: 'SUCCEEDED',
  PaymentFailed: 'FAILED',
  PaymentCancelled: 'CANCELLED',
  PaymentRefunded: 'REFUNDED',
} as const satisfies Record<PaymentEvent['type'], PaymentSnapshot['status']>;

/** A payment only goes forward: whether the one is ahead of where the other is known to be. */
export function isAhead(heard: PaymentSnapshot, known: PaymentSnapshot): boolean {
  return RANKS[heard.status] > RANKS[known.status];
}

const RANKS = { PENDING: 0, SUCCEEDED: 1, FAILED: 1, CANCELLED: 1, REFUNDED: 2 } as const satisfies Record<
  PaymentSnapshot['status'],
  number
>;

/** A message that could not be read for a while comes after later ones, and must not undo what they said. */
export function laterOf(known: PaymentSnapshot | null, heard: PaymentSnapshot): PaymentSnapshot {
  return known !== null && isAhead(known, heard) ? known : heard;
}

/** The first requests did not say when they expire: they lived as long as requests do unless configured otherwise. */
const UNSAID_TTL_MS = 15 * 60_000;

/** Until when the order waits for its payment. */
export function dueAtOf({ expiresAt }: PaymentRequested, at: Date): Date {
  return expiresAt === undefined ? new Date(at.getTime() + UNSAID_TTL_MS) : new Date(expiresAt);
}
