import { type ProblemTable, versionConflict } from '@twinbox/api-kit';
import { ORDER_STATUSES, type OrderRejection } from '../../domain/order.js';

const orderId = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

export const orderProblems: ProblemTable<OrderRejection> = {
  'order-not-found': { status: 404, title: 'There is no such order.', example: { orderId } },
  'order-not-yours': { status: 403, title: 'Only the customer of the order may do this.', example: { orderId } },
  'operator-required': { status: 403, title: 'Only an operator may do this.', example: { orderId } },
  'order-empty': { status: 422, title: 'The order has no items.', example: { orderId } },
  'order-total-too-large': { status: 422, title: 'The total of the order is too large.', example: { orderId } },
  'order-wrong-status': {
    status: 409,
    title: 'The status of the order does not allow this.',
    detail: ({ actual }) => `The order is ${actual}.`,
    example: { orderId, actual: 'COMPLETED' },
    schemas: { actual: { enum: ORDER_STATUSES } },
  },
  'version-conflict': versionConflict,
  'item-not-found': {
    status: 404,
    title: 'The order does not contain this product.',
    detail: ({ productId }) => `The order does not contain ${productId}.`,
    example: { orderId, productId: 'tea-sencha' },
  },
  'too-many-products': {
    status: 422,
    title: 'The order has too many different products.',
    detail: ({ most }) => `An order may contain at most ${most} different products.`,
    example: { orderId, most: 100 },
  },
  'quantity-too-large': {
    status: 422,
    title: 'The quantity of a product is too large.',
    detail: ({ productId, most }) => `An order may contain at most ${most} pieces of ${productId}.`,
    example: { orderId, productId: 'tea-sencha', most: 1_000_000 },
  },
  'product-unknown': {
    status: 422,
    title: 'The order contains unknown products.',
    detail: ({ productIds }) => `Unknown: ${productIds.join(', ')}.`,
    example: { productIds: ['tea-unicorn'] },
  },
  'mixed-currencies': {
    status: 422,
    title: 'All products of an order must have the same currency.',
    detail: ({ currencies }) => `The products are priced in ${currencies.join(' and ')}.`,
    example: { currencies: ['EUR', 'USD'] },
  },
  'price-changed': {
    status: 409,
    title: 'A price differs from what the client expected, or has just changed.',
    detail: ({ changed }) =>
      changed
        .map(({ productId, expected, actual, currency }) => `${productId} costs ${actual} ${currency}, not ${expected}`)
        .join(', ') + '.',
    example: { changed: [{ productId: 'tea-earl-grey', expected: 790, actual: 890, currency: 'EUR' }] },
  },
  'insufficient-stock': {
    status: 409,
    title: 'There is not enough stock.',
    detail: ({ short }) =>
      short
        .map(({ productId, requested, available }) => `${available} of ${requested} ${productId} are available`)
        .join(', ') + '.',
    example: { short: [{ productId: 'tea-earl-grey', requested: 12, available: 7 }] },
  },
};
