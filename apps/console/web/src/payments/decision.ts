import { type PaymentRequest } from '@twinbox/client/payments';

type Decided = Pick<PaymentRequest, 'status' | 'decidedBy' | 'reason'>;

/** Describes who decided a payment and how, for somebody who has just tried to decide it. */
export function decisionText({ status, decidedBy, reason }: Decided, self?: string): string {
  const who = whoOf(decidedBy, self);
  const why = reason === null ? '' : `: ${reason}`;
  switch (status) {
    case 'PENDING':
      return 'Nobody has decided this payment yet.';
    case 'SUCCEEDED':
      return `${who} marked this payment as succeeded.`;
    case 'FAILED':
      return decidedBy === 'system'
        ? 'This payment expired before anybody decided it.'
        : `${who} marked this payment as failed${why}`;
    case 'CANCELLED':
      return `The payment was cancelled with its order${why}`;
    case 'REFUND_PENDING':
      return `The payment is to be refunded${why}`;
    case 'REFUNDED':
      return `The payment was refunded${why}`;
  }
}

const MACHINES: Readonly<Record<string, string>> = {
  gateway: 'The payment gateway',
  provider: 'The payment provider',
  system: 'The service',
};

function whoOf(decidedBy: string | null, self: string | undefined): string {
  if (decidedBy === null) return 'Somebody';
  if (decidedBy === self) return 'You';
  return MACHINES[decidedBy] ?? decidedBy;
}

/** What an operator may do with a payment. */
export type Settlement = 'succeed' | 'fail' | 'refunded';

/** Whether a settlement is possible in the status of the payment. Otherwise, why not. */
export function reasonAgainst(settlement: Settlement, { status, decidedBy, reason }: Decided): string | undefined {
  if (settlement === 'refunded') return status === 'REFUND_PENDING' ? undefined : 'No refund is due.';
  return status === 'PENDING' ? undefined : decisionText({ status, decidedBy, reason });
}
