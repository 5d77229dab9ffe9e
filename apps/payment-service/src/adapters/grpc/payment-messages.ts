import { type Answer, pageQuery, type QueryText, timeText } from '@twinbox/api-kit';
import {
  type ListPaymentRequestsRequest,
  type PaymentRequest,
  type PaymentSort,
  type PaymentStatus,
  type PaymentStep,
} from '@twinbox/contracts/grpc/payments';
import { type PaymentSort as Sort } from '../../application/payment-request-list.js';
import { type PaymentRequestDto } from '../http/payment-request.dto.js';
import { type TimelineStepDto } from '../http/payment-timeline.dto.js';

type Status = PaymentRequestDto['status'];

export function requestMessage(request: Answer<PaymentRequestDto>): PaymentRequest {
  return {
    id: request.id,
    orderId: request.orderId,
    customerId: request.customerId,
    amount: { minorUnits: request.amount, currency: request.currency },
    gateway: request.gateway ?? undefined,
    status: statusMessage(request.status),
    reason: request.reason ?? undefined,
    decidedBy: request.decidedBy ?? undefined,
    version: request.version,
    expiresAt: new Date(request.expiresAt),
    createdAt: new Date(request.createdAt),
    updatedAt: new Date(request.updatedAt),
  };
}

export function stepMessage({ status, version, cause, messageId, detail, ...step }: TimelineStepDto): PaymentStep {
  return {
    ...step,
    status: status === null ? undefined : statusMessage(status),
    version: version ?? undefined,
    cause: cause ?? undefined,
    messageId: messageId ?? undefined,
    detail: detail === null ? undefined : { ...detail },
  };
}

function statusMessage(status: Status): PaymentStatus {
  return `PAYMENT_STATUS_${status}`;
}

const SORTS: Readonly<Record<PaymentSort, Sort | 'UNRECOGNIZED' | undefined>> = {
  PAYMENT_SORT_UNSPECIFIED: undefined,
  PAYMENT_SORT_CREATED_ASC: 'created',
  PAYMENT_SORT_CREATED_DESC: '-created',
  PAYMENT_SORT_AMOUNT_ASC: 'amount',
  PAYMENT_SORT_AMOUNT_DESC: '-amount',
  UNRECOGNIZED: 'UNRECOGNIZED',
};

export function listQuery(request: ListPaymentRequestsRequest): QueryText {
  return {
    ...pageQuery(request),
    sort: SORTS[request.sort],
    status: request.statuses.length === 0 ? undefined : request.statuses.map(withoutPrefix).join(','),
    orderId: request.orderId,
    customerId: request.customerId,
    amountMin: request.amountMin?.toString(),
    amountMax: request.amountMax?.toString(),
    createdFrom: timeText(request.createdFrom),
    createdTo: timeText(request.createdTo),
  };
}

function withoutPrefix(status: PaymentStatus): string {
  return status.replace('PAYMENT_STATUS_', '');
}
