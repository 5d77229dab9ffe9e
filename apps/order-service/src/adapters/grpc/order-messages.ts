import { type Answer, pageQuery, type QueryText, timeText } from '@twinbox/api-kit';
import {
  type GetOrdersRequest,
  type Money,
  type Order,
  type OrderEvent,
  OrderSort,
  type OrderStatus,
  type OrderStep,
  type PaymentSnapshot,
  type PaymentStatus,
} from '@twinbox/contracts/grpc/orders';
import { type OrderSort as Sort } from '../../application/order-list.js';
import { type OrderEventDto, type StepDto } from '../http/order-timeline.dto.js';
import { type OrderDto } from '../http/order.dto.js';

type Status = OrderDto['status'];
type Payment = NonNullable<OrderDto['payment']>;

export function orderMessage(order: Answer<OrderDto>): Order {
  const { currency } = order;
  return {
    id: order.id,
    customerId: order.customerId,
    status: statusMessage(order.status),
    description: order.description ?? undefined,
    items: order.items.map(({ unitPrice, ...item }) => ({ ...item, unitPrice: moneyMessage(unitPrice, currency) })),
    total: moneyMessage(order.total, currency),
    payment: paymentMessage(order.payment),
    cancelReason: order.cancelReason ?? undefined,
    dueAt: order.dueAt === null ? undefined : new Date(order.dueAt),
    late: order.late,
    version: order.version,
    createdAt: new Date(order.createdAt),
    updatedAt: new Date(order.updatedAt),
  };
}

export function statusMessage(status: Status): OrderStatus {
  return `ORDER_STATUS_${status}`;
}

export function paymentMessage(payment: Payment | null): PaymentSnapshot | undefined {
  if (payment === null) return undefined;
  const { paymentRequestId, status, reason } = payment;
  return { paymentRequestId, status: `PAYMENT_STATUS_${status}` satisfies PaymentStatus, reason: reason ?? undefined };
}

/** Undefined without a currency, as in a draft that is empty. */
function moneyMessage(minorUnits: number, currency: string | null): Money | undefined {
  return currency === null ? undefined : { minorUnits, currency };
}

export function stepMessage(step: StepDto): OrderStep {
  const { status, cause, messageId, detail } = step;
  return {
    position: step.position,
    type: step.type,
    status: statusMessage(status),
    version: step.version,
    at: step.at,
    actor: step.actor,
    cause: cause ?? undefined,
    messageId: messageId ?? undefined,
    detail: detail === null ? undefined : { ...detail },
  };
}

export function eventMessage({ orderId, ...step }: OrderEventDto): OrderEvent {
  return { orderId, step: stepMessage(step) };
}

const SORTS: Readonly<Record<OrderSort, Sort | 'UNRECOGNIZED' | undefined>> = {
  ORDER_SORT_UNSPECIFIED: undefined,
  ORDER_SORT_CREATED_ASC: 'created',
  ORDER_SORT_CREATED_DESC: '-created',
  ORDER_SORT_TOTAL_ASC: 'total',
  ORDER_SORT_TOTAL_DESC: '-total',
  UNRECOGNIZED: 'UNRECOGNIZED',
};

export function listQuery(request: GetOrdersRequest): QueryText {
  return {
    ...pageQuery(request),
    sort: SORTS[request.sort],
    status: request.statuses.length === 0 ? undefined : request.statuses.map(withoutPrefix).join(','),
    productId: request.productId,
    totalMin: request.totalMin?.toString(),
    totalMax: request.totalMax?.toString(),
    createdFrom: timeText(request.createdFrom),
    createdTo: timeText(request.createdTo),
    late: request.late?.toString(),
    customerId: request.customerId,
  };
}

function withoutPrefix(status: OrderStatus): string {
  return status.replace('ORDER_STATUS_', '');
}
