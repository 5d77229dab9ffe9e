import { type ProblemTable } from '@twinbox/api-kit';
import { type OrderRejection } from '../../domain/order.js';

const orderId = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

/** How a rejection of the domain is told over HTTP. */
export const orderProblems: ProblemTable<OrderRejection> = {
  'order-not-found': { status: 404, title: 'There is no such order.', example: { orderId } },
  'order-empty': { status: 422, title: 'The order has no items.', example: { orderId } },
  'order-total-too-large': { status: 422, title: 'The order is too large to be added up.', example: { orderId } },
  'order-wrong-status': {
    status: 409,
    title: 'The order is in a status that does not allow this.',
    detail: ({ actual }) => `The order is ${actual}.`,
    example: { orderId, actual: 'COMPLETED' },
  },
  'product-unknown': {
    status: 422,
    title: 'The shop does not have every product of the order.',
    detail: ({ productIds }) => `Unknown: ${productIds.join(', ')}.`,
    example: { productIds: ['tea-unicorn'] },
  },
  'mixed-currencies': {
    status: 422,
    title: 'The products of one order must have one currency.',
    detail: ({ currencies }) => `The products are priced in ${currencies.join(' and ')}.`,
    example: { currencies: ['EUR', 'USD'] },
  },
};
