import { v5 as uuidv5 } from 'uuid';

/** The queues of the calls to the gateway. */
export const CHARGE = 'charge';
export const REFUND = 'refund';

/** What their jobs carry: the rest is read when the call is made. */
export interface PaymentJob {
  readonly paymentRequestId: string;
}

/** A request has one charge, whose job has its id, and one refund: the jobs share a table, so their ids must differ. */
export function refundJobId(paymentRequestId: string): string {
  return uuidv5(REFUND, paymentRequestId);
}
