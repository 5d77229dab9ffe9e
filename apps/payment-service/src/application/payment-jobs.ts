import { v5 as uuidv5, validate as isUuid } from 'uuid';

export const CHARGE = 'charge';
export const REFUND = 'refund';

/** The data of a job. Everything else is read when the call is made. */
export interface PaymentJob {
  readonly paymentRequestId: string;
  readonly gateway: string;
}

/** Returns why an operator's edit of a job is refused. What is known of the payment must stay, or other money would move. */
export function paymentJobFlaw(edited: unknown, original: unknown): string | undefined {
  const [after, before] = [edited, original] as Readonly<Record<string, unknown> | null>[];
  const changed = ['paymentRequestId', 'gateway'].find(
    (name) => typeof before?.[name] === 'string' && before[name] !== after?.[name],
  );
  if (changed !== undefined) return `${changed} must stay as it is`;
  const { paymentRequestId, gateway } = after ?? {};
  if (typeof paymentRequestId !== 'string' || !isUuid(paymentRequestId)) return 'paymentRequestId must be a UUID';
  return typeof gateway === 'string' && gateway !== '' ? undefined : 'gateway must be the name of a gateway';
}

/** Throws for another gateway's job, since only that one knows whether money moved. The job waits for it, or is given up for a person. */
export function assertGatewayInUse({ gateway, paymentRequestId }: PaymentJob, name: string): void {
  if (gateway !== name)
    throw new Error(
      `payment request ${paymentRequestId} belongs to the gateway ${gateway}, but ${name} is in use here`,
    );
}

/** The id of a request's only refund job. It differs from the charge job's, which is the request id, because jobs share a table. */
export function refundJobId(paymentRequestId: string): string {
  return uuidv5(REFUND, paymentRequestId);
}
