import { Columns } from '@twinbox/api-kit';
import { EntitySchema } from 'typeorm';
import { type Product } from '../../domain/product.js';
import { minorUnits } from './order-table.js';

/** `words` are the search words of the name `wordsOf`. */
export interface ProductRow extends Product {
  readonly words: string | null;
  readonly wordsOf: string | null;
}

export const productColumns = new Columns<ProductRow>({
  id: { type: 'varchar', length: 64, primary: true, primaryKeyConstraintName: 'products_pkey' },
  name: { type: 'varchar', length: 200 },
  price: { type: 'bigint', transformer: minorUnits },
  currency: { type: 'char', length: 3 },
  available: { type: 'integer' },
  version: { type: 'integer' },
  updatedAt: { type: 'timestamptz', precision: 3 },
  words: { type: 'tsvector', nullable: true },
  wordsOf: { type: 'text', nullable: true },
});

export const productSchema = new EntitySchema<ProductRow>({
  name: 'Product',
  tableName: 'products',
  columns: productColumns.entity,
  checks: [
    { name: 'products_price_positive', expression: 'price > 0' },
    { name: 'products_available_not_negative', expression: 'available >= 0' },
  ],
  // An EntitySchema cannot express these: an expression, GIN, and a custom condition.
  indices: [
    { name: 'products_search', synchronize: false },
    { name: 'products_words', synchronize: false },
    { name: 'products_without_words', synchronize: false },
  ],
});
