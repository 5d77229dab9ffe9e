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
  'too-many-drafts': {
    status: 409,
    grpcStatus: 'RESOURCE_EXHAUSTED',
    title: 'The customer has too many carts.',
    detail: ({ most }) => `A customer may have at most ${most} carts. Place or discard one of them first.`,
    example: { most: 100 },
  },
  'too-many-unpaid-orders': {
    status: 409,
    grpcStatus: 'RESOURCE_EXHAUSTED',
    title: 'The customer has too many unpaid orders.',
    detail: ({ most }) => `A customer may have at most ${most} unpaid orders. Pay for one of them or cancel it first.`,
    example: { most: 20 },
  },
  'too-many-pieces-held': {
    status: 409,
    grpcStatus: 'RESOURCE_EXHAUSTED',
    title: "The customer's unpaid orders would hold too many pieces.",
    detail: ({ most, held, requested }) =>
      `They may hold at most ${most} pieces of all products. They hold ${held}, and this order has ${requested}. ` +
      'Order fewer pieces, or pay for an unpaid order or cancel it first.',
    example: { most: 10_000, held: 9_500, requested: 600 },
  },
  'too-large-share-held': {
    status: 409,
    grpcStatus: 'RESOURCE_EXHAUSTED',
    title: "The customer's unpaid orders would hold too much of a product's stock.",
    detail: ({ over }) =>
      over
        .map(
          ({ productId, most, held, requested }) =>
            `Of ${productId}, they may hold at most ${most} pieces at the moment. They hold ${held}, and this order has ${requested}.`,
        )
        .join(' ') + ' Order fewer pieces, or pay for an unpaid order or cancel it first.',
    example: { over: [{ productId: 'tea-earl-grey', most: 250, held: 200, requested: 80 }] },
  },
};
