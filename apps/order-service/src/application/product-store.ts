import { type Page, type PageRequest } from '@twinbox/kernel';
import { type EntityManager } from 'typeorm';
import { type Catalogue, type Product } from '../domain/product.js';

export abstract class ProductStore {
  /** The named products, as far as they exist. */
  abstract catalogue(tx: EntityManager, productIds: readonly string[]): Promise<Catalogue>;
  /** All products, by id. */
  abstract list(page: PageRequest): Promise<Page<Product>>;
}
