import { type VersionPrecondition } from '@twinbox/kernel';

/** What every operator's command to a payment request has in common. */
export interface OperatorCommand {
  /** The user id. */
  readonly operator: string;
  /** The request, as `POST /payment-requests/:paymentRequestId/succeed`. */
  readonly cause: string;
  /** What the operator requires of the request's version. */
  readonly precondition: VersionPrecondition;
}
