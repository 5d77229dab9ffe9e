import { type Page } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type Catalogue, type Line, type Product } from '../domain/product.js';

export interface StockedProduct extends Product {
  readonly reserved: number;
}

/** A change of a product by an operator. `from` is undefined for a new product. */
export interface ProductChange {
  readonly actor: string;
  readonly from: StockedProduct | undefined;
  readonly to: StockedProduct;
}

export interface ProductQuery {
  /** Words, or beginnings of words, of the name or the id; undefined for all products. */
  readonly search: string | undefined;
  readonly limit: number;
  readonly after: string | undefined;
}

export abstract class ProductStore {
  /** Reads the existing ones of the named products without locking them. */
  abstract catalogue(tx: EntityManager, lines: readonly Pick<Line, 'productId'>[]): Promise<Catalogue>;
  /**
   * Reserves the pieces of all products or of none, and locks the products until the transaction ends. The fewer statements follow, the
   * more orders per second a product can take. Returns the locked products as they were before the reservation. If one of them has
   * too few pieces, the caller must roll back.
   */
  abstract reserve(tx: EntityManager, lines: readonly Line[]): Promise<Catalogue>;
  /** Locks those of the named products that nobody else has locked, and returns them. Never waits for another order's lock. */
  abstract lockAvailable(tx: EntityManager, lines: readonly Pick<Line, 'productId'>[]): Promise<Catalogue>;
  abstract take(tx: EntityManager, lines: readonly Line[]): Promise<void>;
  /** Releases what the order has reserved. Locks no product, so it neither waits for a sale nor deadlocks with one. */
  abstract release(tx: EntityManager, orderId: string): Promise<void>;
  /** Reads the product and locks it until the transaction ends. */
  abstract lock(tx: EntityManager, productId: string): Promise<Product | undefined>;
  /** Reads the product and its reservations in one snapshot without a lock. The cost grows with the number of live orders. */
  abstract stocked(tx: EntityManager, productId: string): Promise<StockedProduct | undefined>;
  /** Adds a new product. Returns false if it was added concurrently. */
  abstract add(tx: EntityManager, product: Product): Promise<boolean>;
  abstract save(tx: EntityManager, before: Product, after: Product): Promise<void>;
  /** Adds an entry to the product's history. */
  abstract record(tx: EntityManager, change: ProductChange): Promise<void>;
  abstract find(productId: string): Promise<Product | undefined>;
  abstract findStocked(productId: string): Promise<StockedProduct | undefined>;
  /** Lists products sorted by id. The cursor is the last id of the page. */
  abstract list(query: ProductQuery): Promise<Page<Product>>;
  /** Adds the reservations. The cost grows with the number of live orders. */
  abstract listStocked(query: ProductQuery): Promise<Page<StockedProduct>>;
}
