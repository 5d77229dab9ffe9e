/** What the shop sells. */
export interface Product {
  /** The article number: lower case, such as `tea-earl-grey`. */
  readonly id: string;
  readonly name: string;
  /** Minor units of `currency` for one piece. */
  readonly price: number;
  /** ISO 4217. */
  readonly currency: string;
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
}
