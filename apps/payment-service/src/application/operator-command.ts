import { type VersionPrecondition } from '@twinbox/kernel';

export interface OperatorCommand {
  readonly operator: string;
  /** The HTTP route, such as `POST /payment-requests/:paymentRequestId/succeed`. */
  readonly cause: string;
  readonly precondition: VersionPrecondition;
}
