import { type VersionPrecondition } from '@twinbox/kernel';

/** What every command of an operator to a payment request says. */
export interface OperatorCommand {
  /** The user id. */
  readonly operator: string;
  /** The request, as `POST /payment-requests/:paymentRequestId/succeed`. */
  readonly cause: string;
  /** What the operator requires of the request's version. */
  readonly precondition: VersionPrecondition;
}
