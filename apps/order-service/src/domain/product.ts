import { isCurrentCurrency } from '@twinbox/contracts';
import { accept, type Decision, reject, type VersionConflict } from '@twinbox/kernel';

export interface Product {
  /** Lower case, such as `tea-earl-grey`. */
  readonly id: string;
  readonly name: string;
  /** Minor units of `currency` for one piece. */
  readonly price: number;
  readonly currency: string;
  /** Pieces in stock that are not reserved by live orders. */
  readonly available: number;
  /** Increases when an operator changes the product, but not when it is sold. */
  readonly version: number;
  readonly updatedAt: Date;
}

export interface Shortage {
  readonly productId: string;
  readonly requested: number;
  readonly available: number;
}

/** More than the customer may hold of the product. */
export interface HeldShare {
  readonly productId: string;
  readonly most: number;
  readonly held: number;
  readonly requested: number;
}

/** `expected` is the price that the client named, or the one read before the product was locked. */
export interface PriceChange {
  readonly productId: string;
  readonly expected: number;
  readonly actual: number;
  /** The currency of `actual`, which may itself be the change. */
  readonly currency: string;
}

export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

/** The existing ones of the products that an order names. */
export class Catalogue {
  private readonly products: ReadonlyMap<string, Product>;

  constructor(products: readonly Product[]) {
    this.products = new Map(products.map((product) => [product.id, product]));
  }

  product(productId: string): Product | undefined {
    return this.products.get(productId);
  }

  has(lines: readonly Pick<Line, 'productId'>[]): boolean {
    return lines.every(({ productId }) => this.products.has(productId));
  }

  /** Returns the catalogue after the pieces were taken. Expects one line per product. */
  less(lines: readonly Line[]): Catalogue {
    const left = new Map(this.products);
    for (const { productId, quantity } of lines) {
      const product = left.get(productId);
      if (product) left.set(productId, { ...product, available: product.available - quantity });
    }
    return new Catalogue([...left.values()]);
  }

  shortages(lines: readonly Line[]): Shortage[] {
    return lines.flatMap(({ productId, quantity: requested }) => {
      const available = this.product(productId)?.available ?? 0;
      return available < requested ? [{ productId, requested, available }] : [];
    });
  }
}

export interface ProductFacts {
  readonly productId: string;
  readonly name: string;
  readonly price: number;
  readonly currency: string;
  /** Pieces on the shelf, including those reserved by live orders. */
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
 * Adds or replaces a product. `reserved` is what live orders hold, and must not exceed the stock. A new price must be in legal tender; an
 * unchanged one may keep a currency that has been withdrawn.
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
