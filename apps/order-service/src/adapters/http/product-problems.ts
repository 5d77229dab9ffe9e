import { type ProblemTable, versionConflict } from '@twinbox/api-kit';
import { type ProductRejection } from '../../domain/product.js';

const productId = 'tea-earl-grey';

/** How a rejection of the domain is told over HTTP, except for that of a currency, which is a field that is not valid. */
export const productProblems: ProblemTable<Exclude<ProductRejection, { readonly code: 'currency-not-current' }>> = {
  'product-not-found': { status: 404, title: 'There is no such product.', example: { productId } },
  'version-conflict': versionConflict,
  'stock-reserved': {
    status: 409,
    title: 'More is reserved than would be in stock.',
    detail: ({ stock, reserved }) => `Orders hold ${reserved} pieces, more than ${stock}.`,
    example: { productId, stock: 2, reserved: 5 },
  },
};
