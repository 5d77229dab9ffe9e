import { isCurrentCurrency } from '@twinbox/contracts';
import { accept, type Decision, reject, type VersionConflict } from '@twinbox/kernel';

/** What the shop sells. */
export interface Product {
  /** The article number: lower case, such as `tea-earl-grey`. */
  readonly id: string;
  readonly name: string;
  /** Minor units of `currency` for one piece. */
  readonly price: number;
  /** ISO 4217. */
  readonly currency: string;
  /** Pieces that can still be sold: what is in stock, less what live orders have reserved. */
  readonly available: number;
  /** Grows when somebody changes the product, not when it is sold. */
  readonly version: number;
  readonly updatedAt: Date;
}

/** A product of which less is available than was asked for. */
export interface Shortage {
  readonly productId: string;
  readonly requested: number;
  readonly available: number;
}

/** A product that costs something else than the client believed, or than when its order was decided. */
export interface PriceChange {
  readonly productId: string;
  readonly expected: number;
  readonly actual: number;
  /** Of `actual`: it may be what has changed. */
  readonly currency: string;
}

/** A product and so many pieces of it. */
export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

/** The products an order names, as far as the shop knows them. */
export class Catalogue {
  private readonly products: ReadonlyMap<string, Product>;

  constructor(products: readonly Product[]) {
    this.products = new Map(products.map((product) => [product.id, product]));
  }

  product(productId: string): Product | undefined {
    return this.products.get(productId);
  }

  /** The lines, one a product, of which there is too little. */
  shortages(lines: readonly Line[]): Shortage[] {
    return lines.flatMap(({ productId, quantity: requested }) => {
      const available = this.product(productId)?.available ?? 0;
      return available < requested ? [{ productId, requested, available }] : [];
    });
  }
}

/** What an operator says a product is. */
export interface ProductFacts {
  readonly productId: string;
  readonly name: string;
  readonly price: number;
  readonly currency: string;
  /** Pieces on the shelf, those that live orders have reserved among them. */
  readonly stock: number;
}

export type ProductRejection =
  | { readonly code: 'product-not-found'; readonly productId: string }
  | VersionConflict
  | { readonly code: 'currency-not-current'; readonly productId: string; readonly currency: string }
  | {
      readonly code: 'stock-reserved';
      readonly productId: string;
      readonly stock: number;
      readonly reserved: number;
    };

export type ProductDecision = Decision<Product, never, ProductRejection>;

/**
 * A new product, or an old one as it is from now on. `reserved`: what live orders hold of it; it must be in stock. A price that is new
 * must be in legal tender. One that stays as it is may keep a currency that has been withdrawn.
 */
export function putProduct(
  known: Product | undefined,
  { productId: id, stock, ...facts }: ProductFacts,
  reserved: number,
  at: Date,
): ProductDecision {
  const { price, currency } = facts;
  const isNewPrice = known?.price !== price || known.currency !== currency;
  if (isNewPrice && !isCurrentCurrency(currency, at))
    return reject({ code: 'currency-not-current', productId: id, currency });
  const available = stock - reserved;
  if (available < 0) return reject({ code: 'stock-reserved', productId: id, stock, reserved });
  const version = (known?.version ?? 0) + 1;
  return accept((same) => same, { id, ...facts, available, version, updatedAt: at });
}
