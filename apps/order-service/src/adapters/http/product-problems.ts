import { type ProblemTable, versionConflict } from '@twinbox/api-kit';
import { type ProductRejection } from '../../domain/product.js';

const productId = 'tea-earl-grey';

/** Without `currency-not-current`, which is reported as a validation error. */
export const productProblems: ProblemTable<Exclude<ProductRejection, { readonly code: 'currency-not-current' }>> = {
  'product-not-found': { status: 404, title: 'There is no such product.', example: { productId } },
  'version-conflict': versionConflict,
  'stock-reserved': {
    status: 409,
    title: 'Orders have reserved more than the new stock.',
    detail: ({ stock, reserved }) => `Orders have reserved ${reserved} pieces, which is more than ${stock}.`,
    example: { productId, stock: 2, reserved: 5 },
  },
};
