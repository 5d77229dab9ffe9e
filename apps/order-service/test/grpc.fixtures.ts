import { randomUUID } from 'node:crypto';
import { type CreateOrderRequest, type GetOrdersRequest } from '@twinbox/contracts/grpc/orders';

/** The metadata of a new customer. */
export const aCustomer = () => ({ 'x-user-id': `customer ${randomUUID()}` });

export const anOrder = (fields: Partial<CreateOrderRequest> = {}): CreateOrderRequest => ({
  draft: false,
  items: [{ productId: 'tea', quantity: 2 }],
  ...fields,
});

export const aList = (fields: Partial<GetOrdersRequest> = {}): GetOrdersRequest => ({
  pageSize: 0,
  pageToken: '',
  sort: 'ORDER_SORT_UNSPECIFIED',
  statuses: [],
  createdFrom: undefined,
  createdTo: undefined,
  ...fields,
});
