import { v5 as uuidv5 } from 'uuid';

/** The queues of the calls to the gateway. */
export const CHARGE = 'charge';
export const REFUND = 'refund';

/** What their jobs carry: the rest is read when the call is made. */
export interface PaymentJob {
  readonly paymentRequestId: string;
  /** The name of the gateway that is to be called. */
  readonly gateway: string;
}

/**
 * Whether money moved at one gateway is nothing that another can tell, so no other answers for it: the job waits until its gateway is
 * in use again, or is given up for a person.
 * @throws when the job is another gateway's
 */
export function refuseAnotherGateways({ gateway, paymentRequestId }: PaymentJob, name: string): void {
  if (gateway !== name)
    throw new Error(
      `payment request ${paymentRequestId} belongs to the gateway ${gateway}, and ${name} is in use here`,
    );
}

/** A request has one charge, whose job has its id, and one refund: the jobs share a table, so their ids must differ. */
export function refundJobId(paymentRequestId: string): string {
  return uuidv5(REFUND, paymentRequestId);
}
