import { type Page } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type Catalogue, type Line, type Product } from '../domain/product.js';

/** A product, and how much of it live orders hold. */
export interface StockedProduct extends Product {
  readonly reserved: number;
}

export interface ProductQuery {
  /** Words and beginnings of words of the name or the id; none: all products. */
  readonly search: string | undefined;
  /** At most so many products. */
  readonly limit: number;
  /** Products behind this id. */
  readonly after: string | undefined;
}

export abstract class ProductStore {
  /** The named products, as far as they exist, as they are at this moment: nothing is locked. */
  abstract catalogue(tx: EntityManager, lines: readonly Pick<Line, 'productId'>[]): Promise<Catalogue>;
  /**
   * Takes the pieces out of what is available, of all products or of none, and holds the products' locks until the transaction
   * ends: the fewer statements come after it, the more orders of the same product a second. Gives the products as they were found
   * once they were locked, before anything was taken: where they do not have enough, the transaction is to be rolled back.
   */
  abstract reserve(tx: EntityManager, lines: readonly Line[]): Promise<Catalogue>;
  /** Gives back what the order has reserved. It locks no product, so it can neither wait for a sale nor deadlock with one. */
  abstract release(tx: EntityManager, orderId: string): Promise<void>;
  /** The product, locked until the transaction ends: nothing is sold of it meanwhile. */
  abstract lock(tx: EntityManager, productId: string): Promise<Product | undefined>;
  /** The product and what is reserved of it, read at one moment and without a lock: it takes the longer, the more orders are live. */
  abstract stocked(tx: EntityManager, productId: string): Promise<StockedProduct | undefined>;
  /** A product that was not there. False: somebody else has added it meanwhile. */
  abstract add(tx: EntityManager, product: Product): Promise<boolean>;
  /** Writes the locked product as it is from now on. */
  abstract save(tx: EntityManager, before: Product, after: Product): Promise<void>;
  abstract find(productId: string): Promise<Product | undefined>;
  abstract findStocked(productId: string): Promise<StockedProduct | undefined>;
  /** By id, with the id behind which the next page begins. */
  abstract list(query: ProductQuery): Promise<Page<Product>>;
  /** The same, and what live orders hold: it costs the more, the more orders are live. */
  abstract listStocked(query: ProductQuery): Promise<Page<StockedProduct>>;
}
