import { type PaymentEvent, type PaymentRequested } from '@twinbox/contracts';

export const PAYMENT_STATUSES = ['PENDING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'REFUNDED'] as const;

export interface PaymentSnapshot {
  readonly paymentRequestId: string;
  readonly status: (typeof PAYMENT_STATUSES)[number];
  /** Why it failed, was cancelled or refunded. */
  readonly reason: string | null;
}

export function paymentOf(event: PaymentEvent): PaymentSnapshot {
  const { paymentRequestId } = event.data;
  const reason = 'reason' in event.data ? event.data.reason : null;
  return { paymentRequestId, status: statusAfter[event.type], reason };
}

const statusAfter = {
  PaymentRequested: 'PENDING',
  PaymentSucceeded: 'SUCCEEDED',
  PaymentFailed: 'FAILED',
  PaymentCancelled: 'CANCELLED',
  PaymentRefunded: 'REFUNDED',
} as const satisfies Record<PaymentEvent['type'], PaymentSnapshot['status']>;

/** A payment only moves forward, so the higher rank is the later state. */
export function isAhead(received: PaymentSnapshot, known: PaymentSnapshot): boolean {
  return RANKS[received.status] > RANKS[known.status];
}

const RANKS = { PENDING: 0, SUCCEEDED: 1, FAILED: 1, CANCELLED: 1, REFUNDED: 2 } as const satisfies Record<
  PaymentSnapshot['status'],
  number
>;

/** A message that was parked arrives after later ones and must not undo them. */
export function laterOf(known: PaymentSnapshot | null, received: PaymentSnapshot): PaymentSnapshot {
  return known !== null && isAhead(known, received) ? known : received;
}

/** The first requests did not contain `expiresAt`. They had the default time to live. */
const DEFAULT_TTL_MS = 15 * 60_000;

export function dueAtOf({ expiresAt }: PaymentRequested, at: Date): Date {
  return expiresAt === undefined ? new Date(at.getTime() + DEFAULT_TTL_MS) : new Date(expiresAt);
}
