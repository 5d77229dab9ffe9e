import { type ProblemTable, versionConflict } from '@twinbox/api-kit';
import { PAYMENT_STATUSES, type PaymentRejection } from '../../domain/payment-request.js';

const paymentRequestId = '01939d3c-3b1e-7a52-8f01-1c2d3e4f5a6b';

export const paymentProblems: ProblemTable<PaymentRejection> = {
  'payment-request-not-found': {
    status: 404,
    title: 'There is no such payment request.',
    example: { paymentRequestId },
  },
  'version-conflict': versionConflict,
  'payment-already-decided': {
    status: 409,
    title: 'The payment already has a different result.',
    detail: ({ actual }) => `The payment is ${actual}.`,
    example: { paymentRequestId, actual: 'FAILED' },
    schemas: { actual: { enum: PAYMENT_STATUSES } },
  },
  'refund-under-way': {
    status: 409,
    title: 'The gateway is still making the refund.',
    detail: ({ gateway }) =>
      `The gateway ${gateway} has not given up the refund. When it does, the timeline shows RefundGivenUp.`,
    example: { paymentRequestId, gateway: 'simulated' },
  },
  'refund-not-due': {
    status: 409,
    title: 'No refund is due.',
    detail: ({ actual }) => `The payment is ${actual}.`,
    example: { paymentRequestId, actual: 'SUCCEEDED' },
    schemas: { actual: { enum: PAYMENT_STATUSES } },
  },
};
